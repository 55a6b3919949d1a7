-- A reading of a person's device beside one of their phone, after their consent, in one part of a split by person; names no one.
--
-- sensorreadingtime bigint: When the device took the reading (epoch milliseconds, UTC)
-- serialnumber string: Serial number of a Step Trainer
-- distancefromobject int: Distance to the object, as the device reports it
-- timestamp bigint: When the phone took the reading (epoch milliseconds, UTC)
-- x double: Acceleration along the phone's x axis, as the phone reports it
-- y double: Acceleration along the phone's y axis, as the phone reports it
-- z double: Acceleration along the phone's z axis, as the phone reports it
-- split string: The part that it is for: train, validation or test
CREATE EXTERNAL TABLE `${database}`.`training_set`
LOCATION '${lakehouse}/machine_learning/training/'
TBLPROPERTIES ('table_type' = 'DELTA');

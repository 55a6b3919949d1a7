-- A device's and a phone's readings of the same millisecond, for training; names no one.
--
-- sensorreadingtime bigint: When the device took the reading (epoch milliseconds, UTC)
-- serialnumber string: Serial number of a Step Trainer
-- distancefromobject int: Distance to the object, as the device reports it
-- timestamp bigint: When the phone took the reading (epoch milliseconds, UTC)
-- x double: Acceleration along the phone's x axis, as the phone reports it
-- y double: Acceleration along the phone's y axis, as the phone reports it
-- z double: Acceleration along the phone's z axis, as the phone reports it
CREATE EXTERNAL TABLE `${database}`.`machine_learning_curated`
LOCATION '${lakehouse}/machine_learning/curated/'
TBLPROPERTIES ('table_type' = 'DELTA');

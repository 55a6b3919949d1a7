-- A Step Trainer reading of a curated customer's device.
--
-- sensorreadingtime bigint: When the device took the reading (epoch milliseconds, UTC)
-- serialnumber string: Serial number of a Step Trainer
-- distancefromobject int: Distance to the object, as the device reports it
CREATE EXTERNAL TABLE `${database}`.`step_trainer_trusted`
LOCATION '${lakehouse}/step_trainer/trusted/'
TBLPROPERTIES ('table_type' = 'DELTA');

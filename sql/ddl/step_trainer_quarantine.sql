-- A piece of step_trainer/landing that could not be read.
--
-- line string: What could not be read, as it landed; blank once erased (personal data)
-- reason string: Why: the field and the fault, without its value
-- quarantinedat timestamp: When it was set aside (UTC)
CREATE EXTERNAL TABLE `${database}`.`step_trainer_quarantine`
LOCATION '${lakehouse}/step_trainer/quarantine/'
TBLPROPERTIES ('table_type' = 'DELTA');

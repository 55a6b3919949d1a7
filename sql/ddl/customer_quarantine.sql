-- A piece of customer/landing that could not be read.
--
-- line string: What could not be read, as it landed; blank once erased (personal data)
-- reason string: Why: the field and the fault, without its value
-- quarantinedat timestamp: When it was set aside (UTC)
CREATE EXTERNAL TABLE `${database}`.`customer_quarantine`
LOCATION '${lakehouse}/customer/quarantine/'
TBLPROPERTIES ('table_type' = 'DELTA');

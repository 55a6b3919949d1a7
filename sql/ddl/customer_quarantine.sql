-- Text in customer/landing that could not be read as a record.
--
-- line string: What could not be read, as it landed; empty once erased (personal data)
-- reason string: Why: the field and the fault, without its value
-- file string: Id of the landed file that it is in, by the ledger of landing
-- linenumber bigint: Number of its line in that file, from 1
-- byteoffset bigint: Where that line begins, in bytes of uncompressed content
-- quarantinedat timestamp: When it was quarantined (UTC)
CREATE EXTERNAL TABLE `${database}`.`customer_quarantine`
LOCATION '${lakehouse}/customer/quarantine/'
TBLPROPERTIES ('table_type' = 'DELTA');

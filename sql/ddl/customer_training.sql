-- A curated customer's device, and the smallest address of those who share devices with them.
--
-- email string: E-mail address, which names the person (personal data)
-- serialnumber string: Serial number of a Step Trainer
-- sharewithresearchasofdate bigint: Since when research may use the data (epoch milliseconds, UTC)
-- firstofgroup string: The smallest e-mail address of those who share devices, however indirectly (personal data)
CREATE EXTERNAL TABLE `${database}`.`customer_training`
LOCATION '${lakehouse}/customer/training/'
TBLPROPERTIES ('table_type' = 'DELTA');

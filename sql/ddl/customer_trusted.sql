-- A customer who agrees to share data for research, with one of their devices.
--
-- customername string: Full name (personal data)
-- email string: E-mail address, which names the person (personal data)
-- phone string: Phone number (personal data)
-- birthday string: Date of birth, as typed in (personal data)
-- serialnumber string: Serial number of a Step Trainer
-- registrationdate bigint: When the customer registered (epoch milliseconds, UTC)
-- lastupdatedate bigint: When this record last changed (epoch milliseconds, UTC)
-- sharewithresearchasofdate bigint: Since when research may use the data (epoch milliseconds, UTC)
-- sharewithpublicasofdate bigint: Since when the public may see the data (epoch milliseconds, UTC)
-- sharewithfriendsasofdate bigint: Since when friends may see the data (epoch milliseconds, UTC)
CREATE EXTERNAL TABLE `${database}`.`customer_trusted`
LOCATION '${lakehouse}/customer/trusted/'
TBLPROPERTIES ('table_type' = 'DELTA');

CREATE EXTERNAL TABLE `${database}`.`customer_landing` (
  `customername` string COMMENT 'Full name',
  `email` string COMMENT 'E-mail address, which names the person',
  `phone` string COMMENT 'Phone number',
  `birthday` string COMMENT 'Date of birth, as typed in',
  `serialnumber` string COMMENT 'Serial number of a Step Trainer',
  `registrationdate` bigint COMMENT 'When the customer registered (epoch milliseconds, UTC)',
  `lastupdatedate` bigint COMMENT 'When this record last changed (epoch milliseconds, UTC)',
  `sharewithresearchasofdate` bigint COMMENT 'Since when research may use the data (epoch milliseconds, UTC)',
  `sharewithpublicasofdate` bigint COMMENT 'Since when the public may see the data (epoch milliseconds, UTC)',
  `sharewithfriendsasofdate` bigint COMMENT 'Since when friends may see the data (epoch milliseconds, UTC)'
)
COMMENT 'A customer record as it landed, with or without consent to research.'
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '${lakehouse}/customer/landing/'
TBLPROPERTIES ('created_by' = 'stedi_assets', 'personal_data' = 'true', 'classification' = 'json');

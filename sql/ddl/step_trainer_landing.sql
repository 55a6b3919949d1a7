CREATE EXTERNAL TABLE `${database}`.`step_trainer_landing` (
  `sensorreadingtime` bigint COMMENT 'When the device took the reading (epoch milliseconds, UTC)',
  `serialnumber` string COMMENT 'Serial number of a Step Trainer',
  `distancefromobject` int COMMENT 'Distance to the object, as the device reports it'
)
COMMENT 'A Step Trainer\'s distance reading as it landed.'
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '${lakehouse}/step_trainer/landing/'
TBLPROPERTIES ('created_by' = 'stedi_assets', 'personal_data' = 'false', 'classification' = 'json');

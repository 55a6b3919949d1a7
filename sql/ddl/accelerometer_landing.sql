CREATE EXTERNAL TABLE `${database}`.`accelerometer_landing` (
  `user` string COMMENT 'E-mail address of the phone\'s owner',
  `timestamp` bigint COMMENT 'When the phone took the reading (epoch milliseconds, UTC)',
  `x` double COMMENT 'Acceleration along the phone\'s x axis, as the phone reports it',
  `y` double COMMENT 'Acceleration along the phone\'s y axis, as the phone reports it',
  `z` double COMMENT 'Acceleration along the phone\'s z axis, as the phone reports it'
)
COMMENT 'A phone\'s accelerometer reading as it landed.'
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '${lakehouse}/accelerometer/landing/'
TBLPROPERTIES ('created_by' = 'stedi_assets', 'personal_data' = 'true', 'classification' = 'json');

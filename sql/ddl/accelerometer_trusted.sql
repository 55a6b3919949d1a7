-- An accelerometer reading of a customer who agreed to research.
--
-- user string: E-mail address of the phone's owner (personal data)
-- timestamp bigint: When the phone took the reading (epoch milliseconds, UTC)
-- x double: Acceleration along the phone's x axis, as the phone reports it
-- y double: Acceleration along the phone's y axis, as the phone reports it
-- z double: Acceleration along the phone's z axis, as the phone reports it
CREATE EXTERNAL TABLE `${database}`.`accelerometer_trusted`
LOCATION '${lakehouse}/accelerometer/trusted/'
TBLPROPERTIES ('table_type' = 'DELTA');

-- The rule of machine_learning_curated: device and phone readings of the same millisecond, if the
-- phone's owner is a curated customer.
SELECT
  device.sensorReadingTime,
  device.serialNumber,
  device.distanceFromObject,
  phone."timestamp",
  phone.x,
  phone.y,
  phone.z
FROM step_trainer_trusted AS device
JOIN accelerometer_trusted AS phone ON phone."timestamp" = device.sensorReadingTime
WHERE phone."user" IN (SELECT email FROM customer_curated);

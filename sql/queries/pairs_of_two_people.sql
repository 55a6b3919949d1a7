-- How many paired readings are of one person's phone and another's device. The option match_device
-- leaves them out of machine_learning_curated.
SELECT count(*) AS pairs
FROM step_trainer_trusted AS device
JOIN accelerometer_trusted AS phone ON phone."timestamp" = device.sensorReadingTime
WHERE phone."user" IN (SELECT email FROM customer_curated)
  AND NOT EXISTS (
    SELECT 1
    FROM customer_curated AS owner
    WHERE owner.email = phone."user" AND owner.serialNumber = device.serialNumber
  );

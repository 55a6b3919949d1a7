-- How many paired readings were recorded before their person consented. The option
-- after_consent_only leaves them out of machine_learning_curated.
SELECT count(*) AS pairs
FROM step_trainer_trusted AS device
JOIN accelerometer_trusted AS phone ON phone."timestamp" = device.sensorReadingTime
JOIN customer_curated AS owner ON owner.email = phone."user"
WHERE owner.shareWithResearchAsOfDate >= device.sensorReadingTime;

-- How many rows the join gives, and how many the table has. The table has fewer where one of its
-- options is on.
SELECT
  (
    SELECT count(*)
    FROM step_trainer_trusted AS device
    JOIN accelerometer_trusted AS phone ON phone."timestamp" = device.sensorReadingTime
    WHERE phone."user" IN (SELECT email FROM customer_curated)
  ) AS joined_rows,
  (SELECT count(*) FROM machine_learning_curated) AS table_rows;

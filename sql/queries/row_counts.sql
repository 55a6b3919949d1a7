-- The rows of every table. Of a landing table these are the lines that landed, readable or not.
SELECT 'customer_landing' AS table_name, count(*) AS row_count FROM customer_landing
UNION ALL SELECT 'accelerometer_landing', count(*) FROM accelerometer_landing
UNION ALL SELECT 'step_trainer_landing', count(*) FROM step_trainer_landing
UNION ALL SELECT 'customer_quarantine', count(*) FROM customer_quarantine
UNION ALL SELECT 'accelerometer_quarantine', count(*) FROM accelerometer_quarantine
UNION ALL SELECT 'step_trainer_quarantine', count(*) FROM step_trainer_quarantine
UNION ALL SELECT 'customer_trusted', count(*) FROM customer_trusted
UNION ALL SELECT 'accelerometer_trusted', count(*) FROM accelerometer_trusted
UNION ALL SELECT 'customer_curated', count(*) FROM customer_curated
UNION ALL SELECT 'step_trainer_trusted', count(*) FROM step_trainer_trusted
UNION ALL SELECT 'machine_learning_curated', count(*) FROM machine_learning_curated
UNION ALL SELECT 'customer_training', count(*) FROM customer_training
UNION ALL SELECT 'training_set', count(*) FROM training_set;

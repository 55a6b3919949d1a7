-- How many customer records landed without consent to research.
SELECT count(*) AS customers
FROM customer_landing
WHERE coalesce(shareWithResearchAsOfDate, 0) = 0
  AND email IS NOT NULL; -- a line that cannot be read is a row of nulls

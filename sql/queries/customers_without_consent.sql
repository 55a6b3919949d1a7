-- How many customer records landed without consent to research. A line that cannot be read is a
-- row of nulls, which says nothing of consent.
SELECT count(*) AS customers
FROM customer_landing
WHERE email IS NOT NULL AND coalesce(shareWithResearchAsOfDate, 0) = 0;

-- How many people landed whose latest record gives no consent to research. Of records of the same
-- time one without consent counts. A line that cannot be read is a row of nulls, which says nothing
-- of consent. A consent dated in the future is taken for one here; the lakehouse waits for the day.
SELECT count(DISTINCT person) AS customers
FROM (
  SELECT
    lower(trim(email)) AS person,
    rank() OVER (
      PARTITION BY lower(trim(email))
      ORDER BY coalesce(lastUpdateDate, 0) DESC
    ) AS age,
    coalesce(shareWithResearchAsOfDate, 0) AS consent
  FROM customer_landing
  WHERE email IS NOT NULL
)
WHERE age = 1 AND consent < 946684800000;

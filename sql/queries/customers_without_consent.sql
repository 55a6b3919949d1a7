-- How many people landed whose latest record gives no consent to research. Of records of the same
-- time one without consent counts; one dated before 2000 may be the latest, and gives none. A line
-- that cannot be read is a row of nulls, which says nothing of consent. A date in the future is
-- taken for one here; the lakehouse waits for the day.
SELECT count(DISTINCT person) AS customers
FROM (
  SELECT
    person,
    consent,
    rank() OVER (PARTITION BY person ORDER BY odd DESC, lastUpdateDate DESC) AS age
  FROM (
    SELECT
      lower(trim(email)) AS person,
      coalesce(lastUpdateDate, 0) AS lastUpdateDate,
      coalesce(lastUpdateDate, 0) <> 0 AND lastUpdateDate < 946684800000 AS odd,
      CASE
        WHEN lastUpdateDate <> 0 AND lastUpdateDate < 946684800000 THEN 0
        ELSE coalesce(shareWithResearchAsOfDate, 0)
      END AS consent
    FROM customer_landing
    WHERE email IS NOT NULL
  )
)
WHERE age = 1 AND consent < 946684800000;

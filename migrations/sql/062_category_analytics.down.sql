DROP VIEW analytics_cancellations;
DROP VIEW analytics_submissions;
DROP INDEX intake_responses_category;

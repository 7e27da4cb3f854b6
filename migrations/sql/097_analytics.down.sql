DROP VIEW analytics_cancellations;
DROP VIEW analytics_submissions;
DROP TABLE analytics_journey;
DROP TABLE analytics_subscriptions;

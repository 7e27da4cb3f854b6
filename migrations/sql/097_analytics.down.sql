DROP TABLE analytics_journey;
DROP TABLE analytics_subscriptions;

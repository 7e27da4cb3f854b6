DROP TABLE subscription_paid_invoices;
DROP TABLE subscription_changes;
DROP TABLE subscription_missed_periods;
DROP TABLE subscription_periods;
DROP TABLE subscriptions;

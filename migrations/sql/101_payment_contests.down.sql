DROP INDEX invoices_paid_category;
DROP TABLE billing_tasks;
ALTER TABLE payments DROP COLUMN contest;
DROP TABLE payment_contests;

SELECT 'The wider rule stays: a narrower one is set by the steps before.';

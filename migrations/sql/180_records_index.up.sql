-- Which index the tokens of a resource are of: those of an earlier one are
-- written anew by a job, for they tell nothing of a code's system alone.
ALTER TABLE record_resources ADD COLUMN indexed smallint NOT NULL DEFAULT 1;
CREATE INDEX record_resources_indexed ON record_resources (indexed, kind, id);

-- What is sealed cannot be opened here.
DO $$ BEGIN
    IF EXISTS (SELECT FROM shipments WHERE sealed_label IS NOT NULL) THEN
        RAISE EXCEPTION 'there are sealed labels, which an older version cannot open';
    END IF;
END $$;
ALTER TABLE shipments DROP COLUMN sealed_label;

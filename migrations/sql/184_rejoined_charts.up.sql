-- Opens a chart again that was closed by a handover. A patient who books a
-- visit does so as well, in whose name the table itself shows and changes
-- nothing.
CREATE FUNCTION salus_care_rejoin(provider uuid, patient uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    scope text := current_setting('salus.scope', true);
BEGIN
    PERFORM set_config('salus.scope', 'system', true);
    UPDATE care_closed_charts SET handed_over_at = NULL
    WHERE provider_id = provider AND patient_id = patient AND handed_over_at IS NOT NULL;
    PERFORM set_config('salus.scope', scope, true);
END $$;

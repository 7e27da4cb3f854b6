DROP TRIGGER identity_role_permissions_tell ON identity_role_permissions;
DELETE FROM identity_role_permissions
    WHERE permission IN ('patient.break_glass', 'break_glass.review');

-- What came by inheritance is written out again.
WITH RECURSIVE ancestors (role, inherits) AS (
    SELECT role, inherits FROM identity_role_inherits
    UNION
    SELECT a.role, i.inherits FROM ancestors a JOIN identity_role_inherits i ON i.role = a.inherits
)
INSERT INTO identity_role_permissions (role, permission)
    SELECT DISTINCT a.role, held.permission
    FROM ancestors a JOIN identity_role_permissions held ON held.role = a.inherits
    ON CONFLICT DO NOTHING;

DROP TABLE identity_role_inherits;
DROP TABLE identity_roles;
DROP FUNCTION salus_tell_permissions();

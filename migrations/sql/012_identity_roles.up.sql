-- Roles inherit from roles, and hold on to what is their own. Every change is
-- told to all nodes, which drop what they remember.

CREATE TABLE identity_roles (
    role text PRIMARY KEY CHECK (role IN
        ('patient', 'provider', 'pharmacist', 'support', 'auditor', 'admin', 'super_admin')),
    version bigint NOT NULL CHECK (version > 0),
    updated_at timestamptz
);
INSERT INTO identity_roles (role, version) VALUES
    ('patient', 1), ('provider', 1), ('pharmacist', 1), ('support', 1), ('auditor', 1),
    ('admin', 1), ('super_admin', 1);

CREATE TABLE identity_role_inherits (
    role text NOT NULL REFERENCES identity_roles (role),
    inherits text NOT NULL REFERENCES identity_roles (role),
    PRIMARY KEY (role, inherits),
    CHECK (role <> inherits)
);
INSERT INTO identity_role_inherits (role, inherits) VALUES
    ('admin', 'support'), ('super_admin', 'admin'), ('super_admin', 'auditor');

-- What comes by inheritance is no longer written out.
WITH RECURSIVE ancestors (role, inherits) AS (
    SELECT role, inherits FROM identity_role_inherits
    UNION
    SELECT a.role, i.inherits FROM ancestors a JOIN identity_role_inherits i ON i.role = a.inherits
)
DELETE FROM identity_role_permissions held USING ancestors a, identity_role_permissions inherited
    WHERE held.role = a.role AND inherited.role = a.inherits
    AND inherited.permission = held.permission;

INSERT INTO identity_role_permissions (role, permission) VALUES
    ('provider', 'patient.break_glass'),
    ('auditor', 'break_glass.review');

CREATE FUNCTION salus_tell_permissions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('salus_permissions', '');
    RETURN NULL;
END $$;
CREATE TRIGGER identity_roles_tell AFTER INSERT OR UPDATE OR DELETE ON identity_roles
    FOR EACH STATEMENT EXECUTE FUNCTION salus_tell_permissions();
CREATE TRIGGER identity_role_inherits_tell AFTER INSERT OR UPDATE OR DELETE
    ON identity_role_inherits FOR EACH STATEMENT EXECUTE FUNCTION salus_tell_permissions();
CREATE TRIGGER identity_role_permissions_tell AFTER INSERT OR UPDATE OR DELETE
    ON identity_role_permissions FOR EACH STATEMENT EXECUTE FUNCTION salus_tell_permissions();

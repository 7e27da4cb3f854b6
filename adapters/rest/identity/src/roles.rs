use std::collections::BTreeSet;

use api::{Answer, Body, Caller, IfMatch, Result, Tag, Versioned, one_version};
use identity::{IdentityError, Matrix, Services, roles};
use kernel::{FieldError, Permission, Role};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use strum::IntoEnumIterator as _;

use super::auth::PermissionView;

/// What a role holds.
#[derive(Debug, Object)]
struct RoleView {
    role: Role,
    /// Held by the role itself.
    permissions: Vec<String>,
    /// The roles whose permissions it holds as well.
    inherits: Vec<Role>,
    /// All that it holds, inherited ones included.
    effective: Vec<String>,
    /// The version to change it at, as in `If-Match: "3"`.
    version: i64,
}

/// The permission matrix.
#[derive(Debug, Object)]
struct MatrixView {
    roles: Vec<RoleView>,
    permissions: Vec<PermissionView>,
}

fn words(permissions: BTreeSet<Permission>) -> Vec<String> {
    permissions.iter().map(ToString::to_string).collect()
}

fn role_view(matrix: &Matrix, role: Role) -> RoleView {
    let grant = matrix.grant(role);
    RoleView {
        role,
        permissions: words(grant.own),
        inherits: grant.inherits.into_iter().collect(),
        effective: words(matrix.effective(role)),
        version: grant.version,
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct RoleRequest {
    /// All that the role holds by itself.
    #[oai(validator(max_items = 100))]
    permissions: Vec<String>,
    /// All roles that it inherits from.
    #[oai(validator(max_items = 7))]
    inherits: Vec<Role>,
}

impl poem_openapi::types::Example for RoleRequest {
    fn example() -> Self {
        let permissions = ["profile.own", "billing.read_any", "notification.own"];
        Self { permissions: permissions.map(str::to_owned).to_vec(), inherits: Vec::new() }
    }
}

pub struct RolesApi(pub Services);

#[OpenApi(tag = "Tag::Identity")]
impl RolesApi {
    /// Read the permission matrix
    ///
    /// Every role with what it holds by itself and what it inherits.
    #[oai(path = "/api/admin/roles", method = "get", operation_id = "readPermissionMatrix")]
    async fn matrix(&self, caller: Caller) -> Answer<MatrixView> {
        let matrix = roles::matrix(&self.0, caller.actor()).await?;
        Ok(Json(MatrixView {
            roles: Role::ALL.iter().map(|role| role_view(&matrix, *role)).collect(),
            permissions: Permission::iter().map(Into::into).collect(),
        }))
    }

    /// Change what a role holds
    ///
    /// It counts from the next request on, on every node within a second.
    /// Clinical permissions stay with providers, patients hold only what is
    /// their own, and `super_admin` keeps `role.administer`.
    #[oai(path = "/api/admin/roles/:role", method = "put", operation_id = "changeRole")]
    async fn change(
        &self,
        caller: Caller,
        /// As in `support`.
        role: Path<String>,
        /// The version that was read, as in `"3"`.
        #[oai(name = "If-Match")]
        seen: IfMatch,
        body: Body<RoleRequest>,
    ) -> Result<Versioned<RoleView>> {
        caller.actor().require(Permission::RoleAdminister).map_err(IdentityError::from)?;
        let role: Role = role.0.parse().map_err(|_| IdentityError::NotFound("role"))?;
        let current = async {
            let matrix = roles::matrix(&self.0, caller.actor()).await?;
            Ok::<_, IdentityError>(matrix.grant(role).version)
        };
        let seen = one_version(seen.0, current).await?;
        let mut own = BTreeSet::new();
        let mut errors = Vec::new();
        for (index, word) in body.0.permissions.iter().enumerate() {
            match word.parse::<Permission>() {
                Ok(permission) => {
                    own.insert(permission);
                }
                Err(_) => errors.push(FieldError::new(
                    format!("permissions[{index}]"),
                    "unknown",
                    "There is no such permission.",
                )),
            }
        }
        if !errors.is_empty() {
            return Err(IdentityError::Invalid(errors).into());
        }
        let inherits = body.0.inherits.into_iter().collect();
        let matrix = roles::edit(&self.0, caller.actor(), role, seen, own, inherits).await?;
        Ok(Versioned::at(matrix.grant(role).version, role_view(&matrix, role)))
    }
}

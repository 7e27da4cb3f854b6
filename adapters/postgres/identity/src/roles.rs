//! The permission matrix. A role is known by its word and has its own audit entry.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use identity::{Matrix, permissions::RoleGrant, store::PermissionMatrix};
use kernel::{Permission, Role};
use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use strum::IntoEnumIterator as _;

use crate::Tx;
use pg::db;

mod role {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_roles")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub role: String,
        pub version: i64,
        pub updated_at: Option<DateTimeUtc>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod role_permission {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_role_permissions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub role: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub permission: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod role_inherits {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity_role_inherits")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub role: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub inherits: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn stored(word: &str) -> Result<Role> {
    let unknown = |error| PortError::internal("the permission matrix has an unknown role", error);
    word.parse().map_err(unknown)
}

impl Tx {
    async fn grants(&mut self, roles: Vec<role::Model>) -> Result<Matrix> {
        let mut grants = BTreeMap::new();
        for row in roles {
            let role = stored(&row.role)?;
            grants.insert(role, RoleGrant { version: row.version, ..RoleGrant::default() });
        }
        let held = role_permission::Entity::find()
            .all(self.read())
            .await
            .map_err(|error| db("loading the permission matrix", error))?;
        for row in held {
            // A permission that this version does not know belongs to another
            // version that runs beside it.
            let Ok(permission) = row.permission.parse() else { continue };
            let role = stored(&row.role)?;
            grants.entry(role).or_default().own.insert(permission);
        }
        let inherited = role_inherits::Entity::find()
            .all(self.read())
            .await
            .map_err(|error| db("loading the hierarchy of roles", error))?;
        for row in inherited {
            let role = stored(&row.role)?;
            let parent = stored(&row.inherits)?;
            grants.entry(role).or_default().inherits.insert(parent);
        }
        Ok(Matrix::new(grants))
    }
}

#[async_trait]
impl PermissionMatrix for Tx {
    async fn matrix(&mut self) -> Result<Matrix> {
        let roles = role::Entity::find()
            .all(self.read())
            .await
            .map_err(|error| db("loading the roles", error))?;
        self.grants(roles).await
    }

    async fn lock_matrix(&mut self) -> Result<Matrix> {
        let roles = role::Entity::find()
            .order_by_asc(role::Column::Role)
            .lock_exclusive()
            .all(self.read())
            .await
            .map_err(|error| db("locking the roles", error))?;
        self.grants(roles).await
    }

    async fn save_grant(&mut self, role: Role, grant: &RoleGrant, at: DateTime<Utc>) -> Result<()> {
        let word = role.to_string();
        self.execute(
            "saving a role",
            "UPDATE identity_roles SET version = $2, updated_at = $3 WHERE role = $1",
            [word.clone().into(), grant.version.into(), at.into()],
        )
        .await?;
        // What another version of Salus gave the role stays.
        let known = Permission::iter().map(|permission| permission.to_string());
        role_permission::Entity::delete_many()
            .filter(role_permission::Column::Role.eq(&word))
            .filter(role_permission::Column::Permission.is_in(known))
            .exec(self.write())
            .await
            .map_err(|error| db("replacing a role's permissions", error))?;
        role_inherits::Entity::delete_many()
            .filter(role_inherits::Column::Role.eq(&word))
            .exec(self.write())
            .await
            .map_err(|error| db("replacing what a role inherits", error))?;
        let own = grant.own.iter().map(|permission| {
            let (role, permission) = (word.clone(), permission.to_string());
            role_permission::Model { role, permission }.into_active_model().reset_all()
        });
        if !grant.own.is_empty() {
            role_permission::Entity::insert_many(own)
                .exec_without_returning(self.write())
                .await
                .map_err(|error| db("writing a role's permissions", error))?;
        }
        let inherits = grant.inherits.iter().map(|parent| {
            let (role, inherits) = (word.clone(), parent.to_string());
            role_inherits::Model { role, inherits }.into_active_model().reset_all()
        });
        if !grant.inherits.is_empty() {
            role_inherits::Entity::insert_many(inherits)
                .exec_without_returning(self.write())
                .await
                .map_err(|error| db("writing what a role inherits", error))?;
        }
        Ok(())
    }
}

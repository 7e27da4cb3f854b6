//! The actor's scope as a condition of a query.

use kernel::{Actor, Permission};
use sea_orm::{ColumnTrait, Condition, sea_query::Expr};

/// Rows of everybody for those who hold the permission, else a patient's own,
/// else none.
pub fn reach<C: ColumnTrait>(actor: &Actor, patient: C, permission: Permission) -> Condition {
    if actor.may(permission) {
        return Condition::all();
    }
    match actor.as_patient() {
        Some(own) => Condition::all().add(patient.eq(own.uuid())),
        None => Condition::all().add(Expr::value(false)),
    }
}

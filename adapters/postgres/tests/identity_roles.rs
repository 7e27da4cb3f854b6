//! The permission matrix on its real store: edits that are checked, lost races
//! that say what changed, and nodes that hear of it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use identity::{IdentityError, roles};
use kernel::{Permission, Role};
use salus_tests::eventually;
use tokio::sync::watch;

use crate::identity::Fixture;

#[tokio::test]
async fn an_edit_counts_at_once_and_is_audited_with_old_and_new() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let root = fixture.staff(1, Role::SuperAdmin).await;
    let admin = fixture.staff(2, Role::Admin).await;
    let support = fixture.login_staff(3, Role::Support).await;
    let matrix = roles::matrix(services, &root).await.unwrap();
    let grant = matrix.grant(Role::Support);
    let mut own = grant.own.clone();
    own.insert(Permission::AnalyticsRead);
    let none = BTreeSet::new;

    let edit = roles::edit(services, &admin, Role::Support, 1, own.clone(), none()).await;
    assert!(matches!(edit, Err(IdentityError::Forbidden(_))), "an admin does not edit the matrix");
    assert!(!fixture.actor(&support).await.may(Permission::AnalyticsRead));
    roles::edit(services, &root, Role::Support, grant.version, own.clone(), none()).await.unwrap();
    assert!(fixture.actor(&support).await.may(Permission::AnalyticsRead));

    // Of two who edit from one version the second hears what it is now.
    let nothing = BTreeSet::new();
    let lost = roles::edit(services, &root, Role::Support, grant.version, nothing, none()).await;
    let Err(lost @ IdentityError::GrantChanged { .. }) = lost else { panic!("{lost:?}") };
    assert!(lost.to_string().contains("version 2") && lost.to_string().contains("analytics.read"));
    let cyclic = BTreeSet::from([Role::SuperAdmin]);
    let refused = roles::edit(services, &root, Role::Support, 2, own.clone(), cyclic).await;
    assert!(matches!(refused, Err(IdentityError::Invalid(fields)) if fields[0].path == "inherits"));

    // The same again changes nothing and is no second entry.
    roles::edit(services, &root, Role::Support, 2, own, none()).await.unwrap();
    let told = fixture
        .text(
            "SELECT concat(detail->'old'->'permissions' ? 'analytics.read', ' ', \
             detail->'new'->'permissions' ? 'analytics.read') FROM audit_entries \
             WHERE entity = 'role' AND outcome = 'success'",
        )
        .await;
    assert_eq!(told, ["f t"]);
}

#[tokio::test]
async fn two_edits_that_together_would_close_a_circle_do_not_both_pass() {
    let fixture = Fixture::new().await;
    let root = fixture.staff(1, Role::SuperAdmin).await;
    let services = &fixture.services;
    let matrix = roles::matrix(services, &root).await.unwrap();
    let edit = |role: Role, parent: Role| {
        let (services, root) = (services.clone(), root.clone());
        let own = matrix.grant(role).own;
        tokio::spawn(async move {
            roles::edit(&services, &root, role, 1, own, BTreeSet::from([parent])).await
        })
    };
    let (one, two) = (edit(Role::Support, Role::Auditor), edit(Role::Auditor, Role::Support));
    let passed = [one.await.unwrap().is_ok(), two.await.unwrap().is_ok()];
    assert_eq!(passed.iter().filter(|passed| **passed).count(), 1);
}

#[tokio::test]
async fn every_node_hears_of_an_edit_and_reads_again_after_a_lost_connection() {
    let fixture = Fixture::new().await;
    let root = fixture.staff(1, Role::SuperAdmin).await;
    let pair = fixture.login_staff(3, Role::Support).await;
    // Another node remembers the matrix by itself.
    let other = fixture.another_node();
    let sees = async |services: &identity::Services| {
        let actor = identity::authenticate(services, &pair.access_token, Default::default());
        actor.await.unwrap().permissions
    };
    let (stop, stopped) = watch::channel(false);
    let heard = Arc::new(tokio::sync::Semaphore::new(0));
    let listening = {
        let (pg, other, heard) = (fixture.database.pg.clone(), other.clone(), heard.clone());
        tokio::spawn(async move {
            let forget = || {
                other.forget_matrix();
                heard.add_permits(1);
            };
            pg.on_notice(&["salus_permissions"], forget, stopped).await;
        })
    };
    // The first call says that it listens.
    heard.acquire().await.unwrap().forget();
    assert!(!sees(&other).await.contains(&Permission::AnalyticsRead));

    let give = async |permission: Permission| {
        let matrix = roles::matrix(&fixture.services, &root).await.unwrap();
        let mut grant = matrix.grant(Role::Support);
        grant.own.insert(permission);
        let (seen, own) = (grant.version, grant.own);
        let none = BTreeSet::new();
        roles::edit(&fixture.services, &root, Role::Support, seen, own, none).await.unwrap();
    };
    give(Permission::AnalyticsRead).await;
    let wait = Duration::from_secs(10);
    eventually("the edit on the other node", wait, || async {
        sees(&other).await.contains(&Permission::AnalyticsRead).then_some(())
    })
    .await;

    // The connection is cut, and meanwhile the matrix changes.
    fixture
        .text(
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
             WHERE query LIKE 'LISTEN%' AND datname = current_database()",
        )
        .await;
    give(Permission::AuditRead).await;
    eventually("the edit after the cut", wait, || async {
        sees(&other).await.contains(&Permission::AuditRead).then_some(())
    })
    .await;
    stop.send(true).unwrap();
    listening.await.unwrap();
}

//! The first administrator, whom nobody could invite.

use identity::{
    IdentityError, Services,
    first_administrator::{FirstAdministrator, Invited, create},
    registration,
};
use kernel::{Actor, HumanName, Role};

use super::{Fixture, PASSWORD, request};

async fn first(services: &Services, email: &str) -> identity::error::Result<Invited> {
    let name = HumanName::parse("First", "Administrator").unwrap();
    let asked = FirstAdministrator { email: email.parse().unwrap(), name, mail: false };
    create(services, &Actor::system("tests.identity"), asked).await
}

#[tokio::test]
async fn the_first_administrator_is_created_once_and_an_older_link_opens_nothing() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let mistyped = first(services, "bos@example.com").await.unwrap().token.unwrap();
    let old = first(services, "boss@example.com").await.unwrap();
    let again = first(services, "boss@example.com").await.unwrap();
    assert_eq!(old.account, again.account, "one account, whoever asks again");
    for void in [mistyped, old.token.unwrap()] {
        let refused = registration::reset_password(services, request(), &void, PASSWORD).await;
        assert!(matches!(refused, Err(IdentityError::InvalidLink)));
    }
    let token = again.token.unwrap();
    registration::reset_password(services, request(), &token, PASSWORD).await.unwrap();
    let pair = fixture.login("boss@example.com").await;
    assert_eq!(pair.roles, [Role::SuperAdmin]);

    let refused = first(services, "second@example.com").await;
    assert!(matches!(refused, Err(IdentityError::AdministratorExists)));
    let audited = fixture
        .text(
            "SELECT actor_kind || ' ' || (detail->>'link') FROM audit_entries \
             WHERE detail->>'purpose' = 'first_administrator'",
        )
        .await;
    assert_eq!(audited, ["system printed", "system printed", "system printed"]);
}

#[tokio::test]
async fn a_patient_does_not_become_the_first_administrator() {
    let fixture = Fixture::new().await;
    fixture.patient("ada@example.com").await;
    let refused = first(&fixture.services, "ada@example.com").await;
    assert!(matches!(refused, Err(IdentityError::AccountExists)));
}

#[tokio::test]
async fn of_two_first_administrators_at_once_one_link_is_good() {
    let fixture = Fixture::new().await;
    let mut asked = tokio::task::JoinSet::new();
    for email in ["one@example.com", "two@example.com"] {
        let services = fixture.services.clone();
        asked.spawn(async move { first(&services, email).await });
    }
    let mut good = 0;
    for invited in asked.join_all().await {
        let token = invited.unwrap().token.unwrap();
        let taken =
            registration::reset_password(&fixture.services, request(), &token, PASSWORD).await;
        good += usize::from(taken.is_ok());
    }
    assert_eq!(good, 1);
}

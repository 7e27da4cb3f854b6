//! Back-off after failed sign-ins, by address and network.

use identity::error::Lockout;

use super::*;

fn from(ip: &str) -> RequestContext {
    RequestContext { ip: Some(ip.parse().unwrap()), ..RequestContext::default() }
}

async fn attempt(fixture: &Fixture, ip: &str, password: &str) -> Result<(), IdentityError> {
    login::login(&fixture.services, from(ip), "ada@example.com", password).await.map(drop)
}

async fn guess(fixture: &Fixture, ip: &str, times: usize) {
    for _ in 0..times {
        let wrong = attempt(fixture, ip, "a guess at it").await;
        assert!(matches!(wrong, Err(IdentityError::WrongCredentials)), "{ip}: {wrong:?}");
    }
}

fn locked(outcome: &Result<(), IdentityError>) -> bool {
    matches!(outcome, Err(IdentityError::LoginLocked { .. }))
}

#[tokio::test]
async fn strangers_do_not_lock_the_owner_out() {
    let fixture = Fixture::new().await;
    fixture.patient("ada@example.com").await;
    let home = "2001:db8:1:2::1";
    attempt(&fixture, home, PASSWORD).await.unwrap();

    guess(&fixture, "192.0.2.1", 5).await;
    let refused = attempt(&fixture, "192.0.2.1", PASSWORD).await;
    assert!(locked(&refused), "{refused:?}");
    let Err(IdentityError::LoginLocked(Lockout { seconds, .. })) = refused else { unreachable!() };
    assert_eq!(seconds, 60, "and for how long is told");
    // Another address of the same IPv6 network is the same network.
    attempt(&fixture, "2001:db8:1:2:ffff::9", PASSWORD).await.unwrap();

    // Many networks are no way around the back-off, and still not the owner's harm.
    for network in 2..5 {
        guess(&fixture, &format!("192.0.2.{network}"), 5).await;
    }
    let refused = attempt(&fixture, "192.0.2.99", PASSWORD).await;
    assert!(locked(&refused), "twenty failures of strangers: {refused:?}");
    attempt(&fixture, home, PASSWORD).await.unwrap();

    // The owner's own network has its own count.
    guess(&fixture, home, 5).await;
    assert!(locked(&attempt(&fixture, home, PASSWORD).await));
    fixture.database.clock.advance(TimeDelta::seconds(60));
    attempt(&fixture, home, PASSWORD).await.unwrap();

    let kept = fixture.text("SELECT encode(network_index, 'hex') FROM identity_known_networks");
    assert!(!kept.await.iter().any(|network| network.contains("323030313a")), "networks are keyed");
}

#[tokio::test]
async fn an_address_without_an_account_is_locked_like_one_with() {
    let fixture = Fixture::new().await;
    guess(&fixture, "192.0.2.1", 5).await;
    assert!(locked(&attempt(&fixture, "192.0.2.1", PASSWORD).await));
    guess(&fixture, "192.0.2.2", 1).await;
}

#[tokio::test]
async fn whoever_resets_the_password_is_no_stranger() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let account = fixture.patient("ada@example.com").await;
    for network in 1..5 {
        guess(&fixture, &format!("192.0.2.{network}"), 5).await;
    }
    let hotel = "198.51.100.7";
    assert!(locked(&attempt(&fixture, hotel, PASSWORD).await));
    fixture.ask_reset("ada@example.com").await;
    let token = registration::reset_link_token(services, account).await.unwrap().unwrap();
    let new = "seven quiet lighthouses";
    registration::reset_password(services, from(hotel), &token, new).await.unwrap();
    attempt(&fixture, hotel, new).await.unwrap();
}

//! API clients: how they are shut out, and how their keys follow one another.

use identity::ApiClient;

use super::*;

const PEMS: [&[u8]; 2] = [
    include_bytes!("../../../../crates/identity/src/test_keys/es384.pem"),
    include_bytes!("../../../../crates/identity/src/test_keys/rs384.pem"),
];

/// A partner's program with the key of that number.
fn key(number: usize) -> (EncodingKey, Algorithm, serde_json::Value) {
    let (key, algorithm) = match number {
        0 => (EncodingKey::from_ec_pem(PEMS[0]).unwrap(), Algorithm::ES384),
        _ => (EncodingKey::from_rsa_pem(PEMS[1]).unwrap(), Algorithm::RS384),
    };
    let mut jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
    jwk.common.key_id = Some(format!("key-{number}"));
    (key, algorithm, serde_json::to_value(jwk).unwrap())
}

async fn token(
    services: &Services,
    client: &ApiClient,
    number: usize,
) -> Result<String, OAuthError> {
    let (key, algorithm, _) = key(number);
    let mut header = Header::new(algorithm);
    header.kid = Some(format!("key-{number}"));
    let id = client.id.to_string();
    let claims = json!({
        "iss": id, "sub": id, "aud": "https://salus.example/oauth/token",
        "jti": services.env.ids.uuid(), "exp": services.now().timestamp() + 120,
    });
    let form = oauth::TokenRequest {
        grant_type: Some("client_credentials".to_owned()),
        scope: Some("system/Patient.rs".to_owned()),
        client_assertion_type: Some(
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned(),
        ),
        client_assertion: Some(jsonwebtoken::encode(&header, &claims, &key).unwrap()),
    };
    Ok(oauth::client_credentials(services, request(), form).await?.access_token)
}

async fn registered(services: &Services, admin: &Actor) -> ApiClient {
    let form = client::ClientForm {
        name: "Harbour EHR".to_owned(),
        keys: json!({ "keys": [key(0).2] }),
        scopes: vec!["system/Patient.rs".to_owned()],
    };
    client::register(services, admin, form).await.unwrap()
}

#[tokio::test]
async fn a_disabled_client_loses_its_tokens_at_every_node() {
    let fixture = Fixture::new().await;
    let (services, elsewhere) = (&fixture.services, fixture.another_node());
    let admin = fixture.staff(1, Role::Admin).await;
    let client = registered(services, &admin).await;
    let held = token(services, &client, 0).await.unwrap();
    for node in [services, &elsewhere] {
        authenticate(node, &held, request()).await.unwrap();
    }
    client::set_disabled(services, &admin, client.id, true).await.unwrap();
    let refused = authenticate(services, &held, request()).await;
    assert!(matches!(refused, Err(IdentityError::InvalidToken)), "at once where it was disabled");
    let since = std::time::Instant::now();
    salus_tests::eventually("the other node", std::time::Duration::from_secs(5), || async {
        authenticate(&elsewhere, &held, request()).await.is_err().then_some(())
    })
    .await;
    assert!(since.elapsed() < std::time::Duration::from_millis(1_500), "{:?}", since.elapsed());
    assert!(matches!(token(services, &client, 0).await, Err(OAuthError::InvalidClient(_))));

    client::set_disabled(services, &admin, client.id, false).await.unwrap();
    let old = authenticate(services, &held, request()).await;
    assert!(matches!(old, Err(IdentityError::InvalidToken)), "what has ended stays ended");
    let fresh = token(services, &client, 0).await.unwrap();
    authenticate(services, &fresh, request()).await.unwrap();

    let listed = client::list(services, &admin).await.unwrap();
    assert_eq!(listed.len(), 1);
    let changes = "SELECT detail->>'change' FROM audit_entries \
                   WHERE entity = 'api_client' AND action = 'update' ORDER BY seq";
    assert_eq!(fixture.text(changes).await, ["disabled", "enabled"]);
}

#[tokio::test]
async fn a_key_follows_another_without_a_gap_and_the_old_ones_tokens_end() {
    let fixture = Fixture::new().await;
    let services = &fixture.services;
    let admin = fixture.staff(1, Role::Admin).await;
    let client = registered(services, &admin).await;
    let last = client::withdraw_key(services, &admin, client.id, "key-0").await;
    assert!(matches!(last, Err(IdentityError::LastKey)));
    let twice = client::add_key(services, &admin, client.id, &key(0).2).await;
    assert!(matches!(twice, Err(IdentityError::Invalid(fields)) if fields[0].path == "jwk.kid"));
    let nonsense = client::add_key(services, &admin, client.id, &json!({ "kty": "oct" })).await;
    let Err(IdentityError::Invalid(fields)) = nonsense else { panic!("it is refused") };
    assert_eq!(
        fields.iter().map(|field| field.path.as_str()).collect::<Vec<_>>(),
        ["jwk.kid", "jwk"]
    );

    client::add_key(services, &admin, client.id, &key(1).2).await.unwrap();
    let (old, new) = (token(services, &client, 0).await, token(services, &client, 1).await);
    let (old, new) = (old.unwrap(), new.unwrap());
    let mut third = key(1).2;
    third["kid"] = json!("key-2");
    let third = client::add_key(services, &admin, client.id, &third).await;
    assert!(matches!(third, Err(IdentityError::TooManyKeys)));

    client::withdraw_key(services, &admin, client.id, "key-0").await.unwrap();
    for token in [old, new] {
        let ended = authenticate(services, &token, request()).await;
        assert!(matches!(ended, Err(IdentityError::InvalidToken)));
    }
    assert!(matches!(token(services, &client, 0).await, Err(OAuthError::InvalidClient(_))));
    let fresh = token(services, &client, 1).await.unwrap();
    authenticate(services, &fresh, request()).await.unwrap();
    let changes = "SELECT concat(detail->'old_keys', '>', detail->'new_keys') FROM audit_entries \
                   WHERE entity = 'api_client' AND action = 'update' ORDER BY seq";
    assert_eq!(
        fixture.text(changes).await,
        [r#"["key-0"]>["key-0", "key-1"]"#, r#"["key-0", "key-1"]>["key-1"]"#]
    );
    let support = fixture.staff(2, Role::Support).await;
    let refused = client::set_disabled(services, &support, client.id, true).await;
    assert!(matches!(refused, Err(IdentityError::Forbidden(_))));
}

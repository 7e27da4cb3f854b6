//! How often one may call, and what a subscription opens.

use reqwest::Method;
use serde_json::json;

use super::{Seen, once, request, staff_token};
use crate::{authorization::patient, server::Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_held_to_a_rate_and_told_of_it() {
    let server = Server::start_with(&[
        ("SALUS_LIMITS__ANONYMOUS", "20"),
        ("SALUS_LIMITS__SIGN_IN", "10"),
        ("SALUS_LIMITS__FREE", "15"),
    ]);
    let session = patient(&server.client, "limits").await;
    let token = session["access_token"].as_str().expect("a token");
    what_a_subscription_would_open(&server, token).await;

    let said = |seen: &Seen, name: &str| -> u64 {
        let value = seen.headers.get(name).unwrap_or_else(|| panic!("no {name}"));
        value.to_str().expect("a text").parse().expect("a number")
    };
    let own = once(request(&server, Method::GET, "/api/auth/rate-limits", token)).await;
    assert_eq!(own.status, 200, "{}", own.body);
    assert_eq!(own.body["tier"], "free");
    let account = &own.body["limits"][0];
    assert_eq!((&account["name"], &account["limit"]), (&json!("account"), &json!(15)));
    assert_eq!(account["remaining"].as_u64(), Some(said(&own, "ratelimit-remaining")));
    assert_eq!(said(&own, "ratelimit-limit"), 15);

    // The account runs out; who asks without a token is another caller.
    let mut refused = None;
    for _ in 0..40 {
        let seen = once(request(&server, Method::GET, "/api/profile/allergies", token)).await;
        if seen.status == 429 {
            refused = Some(seen);
            break;
        }
        assert_eq!(seen.status, 200, "{}", seen.body);
    }
    let refused = refused.expect("no end to the requests of one account");
    assert_eq!(refused.problem(), (429, "rate_limited", vec![]), "{}", refused.body);
    assert!((1..=60).contains(&said(&refused, "retry-after")));
    assert_eq!(said(&refused, "ratelimit-remaining"), 0);
    let open = once(request(&server, Method::GET, "/api/categories", "")).await;
    assert_eq!(open.status, 200, "{}", open.body);

    // Tokens that are none are counted with the requests without one, and a
    // flood of either reaches neither health nor who has a token.
    let mut last = 0;
    for _ in 0..60 {
        once(request(&server, Method::GET, "/api/profile", "forged")).await;
        last = once(request(&server, Method::GET, "/api/categories", "")).await.status;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
    let health = once(request(&server, Method::GET, "/health/live", "")).await;
    assert_eq!(health.status, 200);

    // Passwords cannot be tried faster than the stricter limit lets through.
    let guess = json!({ "email": "nobody@patients.example", "password": "a-guess-of-somebody" });
    let mut answers = Vec::new();
    for _ in 0..40 {
        let login = request(&server, Method::POST, "/api/auth/login", "").json(&guess);
        answers.push(once(login).await.status);
    }
    let tried = answers.iter().filter(|status| **status != 429).count();
    assert!(tried <= 15, "{tried} of 40 guesses were looked at");
    assert_eq!(answers.last(), Some(&429));
}

async fn what_a_subscription_would_open(server: &Server, token: &str) {
    let ask = |path: &str, feature: &str| {
        once(
            request(server, Method::POST, &format!("/api/auth/{path}"), token)
                .json(&json!({ "feature": feature })),
        )
    };
    let access = ask("validate-access", "video_visits").await;
    assert_eq!(access.status, 200, "{}", access.body);
    assert_eq!(access.body["allowed"], false);
    assert_eq!(access.body["reason"], "subscription_required");
    let unknown = ask("validate-access", "a_helicopter").await;
    assert_eq!(
        unknown.problem(),
        (422, "subscriptions.invalid", vec!["feature unknown".to_owned()])
    );

    let prompt = ask("upgrade-prompt", "video_visits").await;
    assert_eq!(prompt.status, 200, "{}", prompt.body);
    let plans = prompt.body["plans"].as_array().expect("plans");
    assert!(plans.len() > 2, "{}", prompt.body);
    let by_the_month = |plan: &serde_json::Value| {
        let price = &plan["prices"][0];
        price["amount"]["minor"].as_i64().expect("an amount") * 1_000
            / price["months"].as_i64().expect("months")
    };
    let prices: Vec<i64> = plans.iter().map(by_the_month).collect();
    assert!(prices.is_sorted(), "{prices:?}");

    let staff = staff_token(server, "support@salus.example").await;
    let body = json!({ "feature": "video_visits" });
    let path = "/api/auth/validate-access";
    let seen = once(request(server, Method::POST, path, &staff).json(&body)).await;
    assert_eq!(seen.status, 403, "staff have no subscription: {}", seen.body);
}

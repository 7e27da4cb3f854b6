//! What everybody is told of a category before they start.

use std::collections::BTreeSet;

use care::rules;

use super::*;

#[tokio::test]
async fn everybody_is_told_what_the_rules_in_force_ask_and_where_one_is_not_seen() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let told = async || rules::requirements(store, CATEGORY).await.unwrap();
    let found = told().await;
    let ids = |criteria: &[rules::Criterion]| -> Vec<String> {
        criteria.iter().map(|criterion| criterion.rule.clone()).collect()
    };
    assert!(ids(&found.excludes).contains(&"refused".to_owned()), "{found:?}");
    assert!(ids(&found.reviews).contains(&"doubtful".to_owned()), "{found:?}");
    assert!(found.excludes.iter().all(|one| !one.text.is_empty() && one.state.is_none()));
    assert_eq!(found.automatic_in, BTreeSet::from([UsState::Ma]));

    // Where patients must be seen first, nobody is approved unseen.
    let system = Actor::system("tests.requirements");
    setup::set_modality(store, &system, UsState::Ma, Modality::Video).await.unwrap();
    assert_eq!(told().await.automatic_in, BTreeSet::new());

    // What is published next is what is told from then on.
    let next = Rule {
        id: "height".into(),
        description: "Taller than two metres.".into(),
        severity: Severity::Review,
        expression: "patient.age > 200".into(),
        reason_code: "height".into(),
        reason_text: "A provider looks at your height.".into(),
        urgent: false,
    };
    setup::publish_rules(env, store, &system, CATEGORY, vec![next]).await.unwrap();
    let found = told().await;
    assert_eq!((found.excludes.len(), ids(&found.reviews)), (0, vec!["height".to_owned()]));
    assert_eq!(found.reviews[0].text, "A provider looks at your height.");
    let elsewhere = CategoryId(Uuid::from_u128(0xcee));
    assert_eq!(
        rules::requirements(store, elsewhere).await.unwrap(),
        rules::Requirements::default()
    );
}

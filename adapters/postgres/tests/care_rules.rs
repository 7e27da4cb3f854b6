//! Rules as data, on PostgreSQL: drafts, publishing, rolling back, simulation
//! and replay.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use care::{
    Assessment, CareError, CareStore, Inputs, Rule, RuleSet, Severity,
    eligibility::{
        AnswerKind, FormSchema, Gates, PatientInputs, RuleBook, RuleSetContent, RuleSetStatus,
        Scope,
    },
    rules::{self, FormSchemas, NewRuleSet, RuleSetQuery},
    setup,
};
use kernel::{
    AccountId, Actor, ActorKind, AssessmentId, CategoryId, DomainError as _, FormResponseId,
    PatientId, Permission, ProviderId, RequestContext, Role, RuleSetId, Seen, Sex, UsState, Uuid,
};
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::json;

const CATEGORY: CategoryId = CategoryId(Uuid::from_u128(0xca7));

struct Form;

#[async_trait]
impl FormSchemas for Form {
    async fn schema(&self, category: CategoryId) -> ports::Result<Option<FormSchema>> {
        Ok((category == CATEGORY).then(|| FormSchema {
            answers: BTreeMap::from([("weight".to_owned(), AnswerKind::Number)]),
            scores: ["phq9".to_owned()].into(),
        }))
    }
}

fn admin() -> Actor {
    account(Role::Admin, &[Permission::RuleAdminister])
}

fn account(role: Role, permissions: &[Permission]) -> Actor {
    let id = Uuid::from_u128(0xad);
    Actor {
        kind: ActorKind::Account {
            account: AccountId(id),
            session: id.into(),
            roles: Arc::new([role].into()),
        },
        permissions: Arc::new(permissions.iter().copied().collect()),
        request: RequestContext::default(),
    }
}

fn rule(id: &str, severity: Severity, expression: &str) -> Rule {
    Rule {
        id: id.into(),
        description: id.into(),
        severity,
        expression: expression.into(),
        reason_code: id.into(),
        reason_text: format!("Because of {id}."),
        urgent: false,
    }
}

fn content(rules: Vec<Rule>) -> RuleSetContent {
    RuleSetContent { rules, note: None, based_on: None }
}

struct Setting(Database);

impl Setting {
    async fn new() -> Self {
        Self(Database::fresh().await)
    }

    fn store(&self) -> &dyn CareStore {
        &self.0.pg
    }

    async fn draft(&self, scope: Scope, rules: Vec<Rule>) -> Result<RuleSet, CareError> {
        let new = NewRuleSet { category: CATEGORY, scope, content: content(rules) };
        rules::draft(&self.0.env, self.store(), &Form, &admin(), new).await
    }

    async fn publish(&self, id: RuleSetId, seen: i64) -> Result<RuleSet, CareError> {
        rules::publish(&self.0.env, self.store(), &Form, &admin(), id, &seen.into()).await
    }

    async fn in_force(&self, state: UsState) -> RuleBook {
        let mut tx = self.store().begin(&admin()).await.unwrap();
        RuleBook::compose(tx.rule_sets_in_force(CATEGORY).await.unwrap(), state, None)
    }

    /// Decides and stores an assessment, as `assess` does.
    async fn decide(&self, age: u32, state: UsState) -> AssessmentId {
        let inputs = Inputs {
            answers: [("weight".to_owned(), json!(80.5))].into(),
            scores: [("phq9".to_owned(), 3.0)].into(),
            patient: PatientInputs { age, sex: Sex::Female, state, age_counted_on: None },
            medications: vec![],
            allergies: vec![],
        };
        let gates = Gates {
            allowlisted: true,
            asynchronous: true,
            supervising_provider: Some(ProviderId(Uuid::from_u128(1))),
            under_treatment: false,
            record_answered: true,
            profile_unchanged: true,
            only_request: true,
            never_refused: true,
            of_age: true,
        };
        let actor = Actor::system("tests.care_rules");
        let book = self.in_force(state).await;
        let env = &self.0.env;
        let assessment = Assessment::decided(
            env.fresh(),
            (PatientId(Uuid::from_u128(0xada)), CATEGORY, env.fresh::<FormResponseId>()),
            book.decide(inputs, gates),
            env.now(),
        );
        let mut tx = self.store().begin(&actor).await.unwrap();
        tx.insert(&assessment).await.unwrap();
        tx.commit().await.unwrap();
        assessment.id
    }

    async fn sql(&self, sql: &str) {
        let superuser = self.0.superuser().await;
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        superuser.execute_raw(statement).await.unwrap();
    }

    async fn count(&self, sql: &str) -> i64 {
        let superuser = self.0.superuser().await;
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = superuser.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }
}

#[tokio::test]
async fn a_rule_that_does_not_fit_the_form_is_not_published() {
    let setting = Setting::new().await;
    let rules = vec![
        rule("heavy", Severity::Review, "answers.height > 3"),
        rule("sad", Severity::Review, "scores.phq9 == \"much\""),
    ];
    let draft = setting.draft(Scope::default(), rules).await.unwrap();
    let Err(CareError::Invalid(errors)) = setting.publish(draft.id, 1).await else {
        panic!("it was published");
    };
    let found: Vec<_> =
        errors.iter().map(|error| (error.path.as_str(), error.code.as_str())).collect();
    assert_eq!(
        found,
        [("rules[0].expression", "unknown_field"), ("rules[1].expression", "wrong_type")]
    );
    assert_eq!(setting.in_force(UsState::Ma).await, RuleBook::default());

    let other = NewRuleSet {
        category: CategoryId(Uuid::from_u128(9)),
        scope: Scope::default(),
        content: content(vec![rule("a", Severity::Review, "true")]),
    };
    let none = rules::draft(&setting.0.env, setting.store(), &Form, &admin(), other).await;
    assert!(matches!(none, Err(CareError::Invalid(_))), "a category without a form");

    let based = RuleSetContent {
        based_on: Some(RuleSetId(Uuid::from_u128(7))),
        ..content(vec![rule("a", Severity::Review, "true")])
    };
    let new = NewRuleSet { category: CATEGORY, scope: Scope::default(), content: based };
    let none = rules::draft(&setting.0.env, setting.store(), &Form, &admin(), new).await;
    let Err(CareError::Invalid(fields)) = none else { panic!("{none:?}") };
    assert_eq!(fields[0].path, "based_on");
}

#[tokio::test]
async fn two_editors_of_a_draft_and_two_drafts_of_a_version_hear_of_each_other() {
    let setting = Setting::new().await;
    let age = |limit: u32| vec![rule("age", Severity::Review, &format!("patient.age > {limit}"))];
    let first = setting.draft(Scope::default(), age(65)).await.unwrap();
    let (env, store) = (&setting.0.env, setting.store());
    let revise = |seen, limit| {
        let actor = admin();
        let content = content(age(limit));
        async move { rules::revise(env, store, &actor, first.id, &Seen::from(seen), content).await }
    };
    assert_eq!(revise(1, 60).await.unwrap().version, 2);
    let late = revise(1, 70).await.unwrap_err();
    let told: Vec<_> = late.fields().iter().map(|f| (&*f.path, &*f.message)).collect();
    assert!(told[0].1.contains("version 2 is the current one"), "{told:?}");
    let changed = "\"patient.age > 65\" → \"patient.age > 60\"";
    assert!(told.contains(&("rules[0].expression", changed)), "{told:?}");
    let left = setting.draft(Scope::default(), age(50)).await.unwrap();
    setting.publish(first.id, 2).await.unwrap();
    assert!(matches!(setting.publish(left.id, 1).await, Err(CareError::RulesSuperseded(1))));
    let taken_in = RuleSetContent { based_on: Some(first.id), ..content(age(50)) };
    let left =
        rules::revise(env, store, &admin(), left.id, &Seen::from(1), taken_in).await.unwrap();
    let (one, other) = tokio::join!(
        setting.publish(left.id, left.version),
        setting.publish(left.id, left.version)
    );
    assert!(one.is_ok() != other.is_ok(), "of two who publish at once one does");
    let query = RuleSetQuery { status: Some(RuleSetStatus::Published), ..RuleSetQuery::default() };
    let published = rules::list(store, &admin(), &query).await.unwrap();
    assert_eq!(published.items.iter().map(|set| set.id).collect::<Vec<_>>(), [left.id]);
}

#[tokio::test]
async fn rolling_back_publishes_the_older_version_again_and_it_never_changes() {
    let setting = Setting::new().await;
    let first =
        setting.draft(Scope::default(), vec![rule("a", Severity::Review, "true")]).await.unwrap();
    setting.publish(first.id, 1).await.unwrap();
    let second =
        setting.draft(Scope::default(), vec![rule("b", Severity::Review, "true")]).await.unwrap();
    assert_eq!((second.number, second.based_on), (2, Some(first.id)));
    setting.publish(second.id, 1).await.unwrap();
    let retired = rules::one(setting.store(), &admin(), first.id).await.unwrap();
    assert_eq!(retired.status, RuleSetStatus::Retired);
    setting.publish(first.id, retired.version).await.unwrap();
    assert_eq!(setting.in_force(UsState::Ma).await.rules()[0].id, "a");
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'rule_set' \
                   AND detail->>'old_version' = '2' AND detail->>'new_version' = '1' \
                   AND (detail->>'rolls_back')::boolean";
    assert_eq!(setting.count(audited).await, 1);
    let superuser = setting.0.superuser().await;
    let change = "UPDATE care_rule_sets SET rules = '[]'";
    let refused = superuser
        .execute_raw(Statement::from_string(DbBackend::Postgres, change))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("never changes"), "{refused}");
}

#[tokio::test]
async fn a_states_rules_are_added_and_a_simulation_tells_what_they_would_change() {
    let setting = Setting::new().await;
    let general = vec![rule("minor", Severity::Refuse, "patient.age < 18")];
    setup::publish_rules(&setting.0.env, setting.store(), &admin(), CATEGORY, general)
        .await
        .unwrap();
    for age in [30, 40, 50] {
        setting.decide(age, UsState::Tx).await;
        setting.decide(age, UsState::Ma).await;
    }
    let texas = Scope { state: Some(UsState::Tx), drug: None };
    let draft = setting
        .draft(texas, vec![rule("over_35", Severity::Review, "patient.age > 35")])
        .await
        .unwrap();
    let simulate = |after, limit| {
        let actor = admin();
        let store = setting.store();
        async move { rules::simulate(store, &actor, draft.id, after, limit).await.unwrap() }
    };
    let whole = simulate(None, 100).await;
    assert_eq!((whole.examined, whole.changes.len(), whole.next), (3, 2, None));
    assert_eq!(
        whole.outcomes,
        BTreeMap::from([
            (("auto_approved", "auto_approved"), 1),
            (("auto_approved", "in_review"), 2),
        ])
    );
    assert_eq!(whole.fired, BTreeMap::from([("over_35".to_owned(), (0, 2))]));
    let first = simulate(None, 2).await;
    let rest = simulate(first.next, 2).await;
    assert_eq!((first.examined, rest.examined, rest.next), (2, 1, None));
    let searched = "SELECT count(*) FROM audit_entries WHERE entity = 'assessment' \
                    AND action = 'search' AND detail->>'purpose' = 'rule_simulation'";
    assert_eq!(setting.count(searched).await, 3);

    setting.publish(draft.id, 1).await.unwrap();
    let (here, there) = (setting.in_force(UsState::Tx).await, setting.in_force(UsState::Ma).await);
    assert_eq!((here.rules().len(), there.rules().len()), (2, 1));
    let id = setting.decide(40, UsState::Tx).await;
    let replayed = replay(&setting, id).await;
    assert!(replayed.is_same(), "{replayed:?}");
    assert_eq!(replayed.rule_sets.len(), 2);
    assert_eq!(replayed.stored.reasons, ["over_35"]);
}

async fn replay(setting: &Setting, id: AssessmentId) -> rules::Replay {
    let auditor = account(Role::Auditor, &[Permission::AuditRead]);
    rules::replay(setting.store(), &auditor, id).await.unwrap()
}

#[tokio::test]
async fn a_replay_gives_the_same_and_tells_when_something_was_tampered_with() {
    let setting = Setting::new().await;
    let general = vec![rule("minor", Severity::Refuse, "patient.age < 18")];
    setup::publish_rules(&setting.0.env, setting.store(), &admin(), CATEGORY, general)
        .await
        .unwrap();
    let id = setting.decide(12, UsState::Ma).await;
    assert!(replay(&setting, id).await.is_same());

    setting
        .sql(
            "UPDATE care_assessments SET outcome = 'in_review', review = 'waiting', \
             due_at = decided_at",
        )
        .await;
    let told = replay(&setting, id).await;
    assert!(!told.is_same() && told.stored.outcome != told.replayed.outcome, "{told:?}");

    setting.sql("ALTER TABLE care_rule_sets DISABLE TRIGGER care_rule_sets_stay").await;
    setting
        .sql(
            "UPDATE care_rule_sets \
             SET rules = jsonb_set(rules, '{0,expression}', '\"patient.age < 10\"')",
        )
        .await;
    assert!(!replay(&setting, id).await.rules_as_published);

    let auditor = account(Role::Auditor, &[Permission::AuditRead]);
    let all = rules::replay_next(setting.store(), &auditor, None, 10).await.unwrap();
    assert_eq!(all.len(), 1);
    let nobody = account(Role::Support, &[]);
    assert!(matches!(
        rules::replay(setting.store(), &nobody, id).await,
        Err(CareError::Forbidden(_))
    ));
}

#[tokio::test]
async fn the_allowlist_is_audited_with_what_was_before() {
    let setting = Setting::new().await;
    let drug = "200172".parse().unwrap();
    for allowed in [true, true, false] {
        rules::set_auto_approval(setting.store(), &admin(), UsState::Tx, &drug, allowed)
            .await
            .unwrap();
        let listed = rules::auto_approvals(setting.store(), &admin()).await.unwrap();
        assert_eq!(listed.len(), usize::from(allowed));
    }
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'auto_approval' \
                   AND detail->>'old' <> detail->>'new'";
    assert_eq!(setting.count(audited).await, 2);
}

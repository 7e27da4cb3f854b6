//! Assessments and the review queue.

use async_trait::async_trait;
use care::{Assessment, Priority, QueueItem, RejectionReason, Review, ReviewWord};
use chrono::{DateTime, Duration, Utc};
use kernel::{
    Actor, AssessmentId, CategoryId, FormResponseId, Page, PageRequest, PatientId, ProviderId,
    TreatmentPlanId, UsState,
};
use ports::{PortError, Result, events::AssessmentOutcome};
use sea_orm::{
    Condition, FromQueryResult, QueryOrder as _, QuerySelect as _,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait as _, SimpleExpr},
};
use serde_json::json;

use crate::{Tx, codes, handover, text, text_of, treated, within};
use pg::{PgTx, Row, Unreadable, cursor, db, read_time_cursor, time_cursor_of};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "care_assessments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AssessmentId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub response_id: FormResponseId,
    pub state: String,
    pub decided_at: ChronoDateTimeUtc,
    pub outcome: AssessmentOutcome,
    pub reasons: Vec<u8>,
    pub trace: Vec<u8>,
    pub priority: i16,
    pub due_at: Option<ChronoDateTimeUtc>,
    pub escalated_at: Option<ChronoDateTimeUtc>,
    pub review: ReviewWord,
    pub review_provider_id: Option<ProviderId>,
    pub claimed_until: Option<ChronoDateTimeUtc>,
    pub waiting_since: Option<ChronoDateTimeUtc>,
    pub seconds_left: Option<i64>,
    pub reviewed_at: Option<ChronoDateTimeUtc>,
    pub treatment_plan_id: Option<TreatmentPlanId>,
    pub rejection_reason: Option<RejectionReason>,
    pub rejection_note: Option<Vec<u8>>,
    pub superseded_by: Option<AssessmentId>,
    pub superseded_at: Option<ChronoDateTimeUtc>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Reviews in which something is to be decided now. The words stand in the statement, as
/// they do in the indexes for these rows.
fn to_decide() -> SimpleExpr {
    Expr::cust("review IN ('waiting', 'claimed')")
}

impl Model {
    fn review(&self) -> Result<Review, Unreadable> {
        let provider = || self.review_provider_id.ok_or("its review lacks the provider");
        let at = || self.reviewed_at.ok_or("its review lacks the time of the decision");
        Ok(match self.review {
            ReviewWord::NotNeeded => Review::NotNeeded,
            ReviewWord::Waiting => Review::Waiting,
            ReviewWord::Claimed => Review::Claimed {
                provider: provider()?,
                until: self.claimed_until.ok_or("its claim has no end")?,
            },
            ReviewWord::WaitingOnPatient => Review::WaitingOnPatient {
                provider: provider()?,
                since: self.waiting_since.ok_or("it waits since no time")?,
                left: Duration::seconds(self.seconds_left.ok_or("it has no time left")?),
            },
            ReviewWord::Approved => Review::Approved {
                provider: provider()?,
                at: at()?,
                treatment_plan: self.treatment_plan_id.ok_or("its approval has no plan")?,
            },
            ReviewWord::Rejected => Review::Rejected {
                provider: provider()?,
                at: at()?,
                reason: self.rejection_reason.ok_or("its rejection has no reason")?,
                note: text_of(self.rejection_note.clone())?,
            },
            ReviewWord::Superseded => Review::Superseded {
                by: self.superseded_by.ok_or("nothing supersedes it")?,
                at: self.superseded_at.ok_or("it was superseded at no time")?,
            },
        })
    }
}

#[async_trait]
impl Row for Model {
    type Aggregate = Assessment;

    const SEALED: &'static [Column] = &[Column::Reasons, Column::Trace, Column::RejectionNote];
    const UNTOLD: &'static [Column] = &[Column::RejectionReason];

    fn open(self) -> Result<Assessment, Unreadable> {
        let review = self.review()?;
        Ok(Assessment {
            id: self.id,
            patient: self.patient_id,
            category: self.category_id,
            response: self.response_id,
            state: self.state.parse()?,
            decided_at: self.decided_at,
            outcome: self.outcome,
            reasons: serde_json::from_slice(&self.reasons)?,
            trace: serde_json::from_slice(&self.trace)?,
            priority: priority(self.priority),
            due_at: self.due_at,
            review,
            escalated_at: self.escalated_at,
            version: self.version,
        })
    }

    fn close(assessment: &Assessment) -> Self {
        let mut row = Self {
            id: assessment.id,
            patient_id: assessment.patient,
            category_id: assessment.category,
            response_id: assessment.response,
            state: assessment.state.to_string(),
            decided_at: assessment.decided_at,
            outcome: assessment.outcome,
            reasons: json!(assessment.reasons).to_string().into_bytes(),
            trace: json!(assessment.trace).to_string().into_bytes(),
            priority: assessment.priority.rank(),
            due_at: assessment.due_at,
            escalated_at: assessment.escalated_at,
            review: assessment.review.word(),
            review_provider_id: assessment.review.provider(),
            claimed_until: None,
            waiting_since: None,
            seconds_left: None,
            reviewed_at: None,
            treatment_plan_id: None,
            rejection_reason: None,
            rejection_note: None,
            superseded_by: None,
            superseded_at: None,
            version: assessment.version,
        };
        match &assessment.review {
            Review::NotNeeded | Review::Waiting => {}
            Review::Claimed { until, .. } => row.claimed_until = Some(*until),
            Review::WaitingOnPatient { since, left, .. } => {
                row.waiting_since = Some(*since);
                row.seconds_left = Some(left.num_seconds());
            }
            Review::Approved { at, treatment_plan, .. } => {
                row.reviewed_at = Some(*at);
                row.treatment_plan_id = Some(*treatment_plan);
            }
            Review::Rejected { at, reason, note, .. } => {
                row.reviewed_at = Some(*at);
                row.rejection_reason = Some(*reason);
                row.rejection_note = text(note.as_ref());
            }
            Review::Superseded { by, at } => {
                row.superseded_by = Some(*by);
                row.superseded_at = Some(*at);
            }
        }
        row
    }

    /// A provider's own, what is to be decided, and those of the panel. Of what is to be
    /// decided the use case leaves out the states without a license.
    fn reach(actor: &Actor) -> Condition {
        within(actor, Column::PatientId, |provider| {
            Condition::any()
                .add(Column::ReviewProviderId.eq(provider))
                .add(to_decide())
                .add(treated(provider))
        })
    }

    /// The provider who holds or decided a review has the patient on their panel.
    async fn save_parts(tx: &mut PgTx, assessment: &Assessment) -> Result<()> {
        let Some(provider) = assessment.review.provider() else { return Ok(()) };
        handover::add_holder(tx, provider, assessment.patient).await?;
        handover::rejoin(tx, provider, assessment.patient).await
    }
}

pub async fn of_response(tx: &Tx, response: FormResponseId) -> Result<Option<AssessmentId>> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ResponseId.eq(response))
        .into_tuple()
        .one(tx.read())
        .await
        .map_err(|error| db("looking for an assessment", error))
}

fn parsed(state: &str) -> Result<UsState> {
    state.parse().map_err(|error| PortError::internal("an assessment's state is unknown", error))
}

pub async fn overdue(
    tx: &Tx,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<(AssessmentId, PatientId, UsState)>> {
    let found: Vec<(AssessmentId, PatientId, String)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::PatientId, Column::State])
        .filter(to_decide())
        .filter(Column::EscalatedAt.is_null())
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Id)
        .limit(u64::from(limit))
        .into_tuple()
        .all(tx.read())
        .await
        .map_err(|error| db("looking for overdue reviews", error))?;
    found.into_iter().map(|(id, patient, state)| Ok((id, patient, parsed(&state)?))).collect()
}

/// A review of which nothing that was answered is read.
#[derive(FromQueryResult)]
pub struct Listed {
    pub id: AssessmentId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    state: String,
    priority: i16,
    decided_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    review: ReviewWord,
    review_provider_id: Option<ProviderId>,
    claimed_until: Option<DateTime<Utc>>,
}

impl Listed {
    pub fn state(&self) -> Result<UsState> {
        parsed(&self.state)
    }

    pub fn priority(&self) -> Priority {
        priority(self.priority)
    }

    fn into_item(self) -> Result<QueueItem> {
        let review = match (self.review, self.review_provider_id, self.claimed_until) {
            (ReviewWord::Claimed, Some(provider), Some(until)) => {
                Review::Claimed { provider, until }
            }
            _ => Review::Waiting,
        };
        Ok(QueueItem {
            id: self.id,
            patient: self.patient_id,
            category: self.category_id,
            state: self.state()?,
            priority: self.priority(),
            submitted_at: self.decided_at,
            due_at: self.due_at,
            review,
        })
    }
}

/// The reviews that are to be decided and match, in the order of the queue after a place.
pub async fn listed(
    tx: &Tx,
    filter: Condition,
    after: Option<(i16, DateTime<Utc>, AssessmentId)>,
    limit: u64,
) -> Result<Vec<Listed>> {
    let place = [Column::Priority, Column::DueAt, Column::Id];
    let beyond = after.map(|(rank, due, id)| {
        let after = [Expr::val(rank), Expr::val(due), Expr::val(id)];
        Expr::tuple(place.map(|column| Expr::col(column.as_column_ref()))).gt(Expr::tuple(after))
    });
    let found = Entity::find()
        .filter(to_decide())
        .filter(filter)
        .filter(Condition::all().add_option(beyond));
    place
        .into_iter()
        .fold(found, |found, column| found.order_by_asc(column))
        .limit(limit)
        .into_model()
        .all(tx.read())
        .await
        .map_err(|error| db("listing reviews", error))
}

pub async fn queue(
    tx: &Tx,
    provider: ProviderId,
    states: &[UsState],
    now: DateTime<Utc>,
    page: &PageRequest,
) -> Result<Page<QueueItem>> {
    let after = cursor(page, |text| {
        let (rank, place) = text.split_once('|')?;
        let (due, id) = read_time_cursor(place)?;
        Some((rank.parse::<i16>().ok()?, due, id.into()))
    })?;
    let free = Condition::any()
        .add(Column::Review.eq(ReviewWord::Waiting))
        .add(Column::ReviewProviderId.eq(provider))
        .add(Column::ClaimedUntil.lte(now));
    let filter = Condition::all().add(Column::State.is_in(codes(states))).add(free);
    let found = listed(tx, filter, after, u64::from(page.limit()) + 1).await?;
    let items = found.into_iter().map(Listed::into_item).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(items, page, |item| {
        format!("{}|{}", item.priority.rank(), time_cursor_of(item.due_at, item.id.uuid()))
    }))
}

fn priority(rank: i16) -> Priority {
    if rank == Priority::Urgent.rank() { Priority::Urgent } else { Priority::Routine }
}

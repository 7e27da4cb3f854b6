//! The store of prescriptions, their messages and the pharmacy directory.

pub mod pharmacies;
pub mod rows;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AccountId, DispatchId, ErxMessageId, Page, PageRequest, PatientId, PharmacyId, PrescriptionId,
    TreatmentPlanId, UsState, Uuid,
};
use pharmacy::{
    erx::{ErxMessage, ReceivedMessage},
    prescription::{Pharmacy, Prescription, PrescriptionReach, PrescriptionTx, store::Fill},
};
use ports::{Locked, PortError, Result};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, FromQueryResult, Order, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _},
};

use self::rows::{Column, Entity, Model, within};
use crate::Tx;
use pg::{Row as _, db, expect_changed, locked, page_by_id};

/// The column that holds the sealed text of a message.
const MESSAGE: &str = "erx_messages.body";

const OPEN: [&str; 5] = ["draft", "blocked", "queued", "sent", "active"];

/// The states in which a pharmacy holds a prescription or is about to.
const AT_A_PHARMACY: [&str; 3] = ["queued", "sent", "active"];

#[derive(FromQueryResult)]
struct FillRow {
    prescription_id: PrescriptionId,
    dispatch_id: DispatchId,
    number: i16,
    filled_on: NaiveDate,
    recorded_at: DateTime<Utc>,
}

#[derive(FromQueryResult)]
struct MessageRow {
    id: ErxMessageId,
    prescription_id: PrescriptionId,
    body: Vec<u8>,
    created_at: DateTime<Utc>,
}

#[derive(FromQueryResult)]
struct Member {
    account_id: AccountId,
}

#[async_trait]
impl PrescriptionTx for Tx {
    async fn prescription(
        &mut self,
        id: PrescriptionId,
        reach: PrescriptionReach,
    ) -> Result<Option<Prescription>> {
        Ok(Model::load(self, Entity::find_by_id(id).filter(within(reach))).await?.pop())
    }

    async fn open_prescription(
        &mut self,
        plan: TreatmentPlanId,
    ) -> Result<Option<Locked<Prescription>>> {
        let open = Entity::find()
            .filter(Column::TreatmentPlanId.eq(plan))
            .filter(Column::State.is_in(OPEN));
        Ok(locked::<Model>(self, open, false).await?.pop())
    }

    async fn last_prescribed_version(&mut self, plan: TreatmentPlanId) -> Result<Option<u32>> {
        let last: Option<Option<i32>> = Entity::find()
            .select_only()
            .column_as(Column::PlanVersion.max(), "last")
            .filter(Column::TreatmentPlanId.eq(plan))
            .into_tuple()
            .one(self.read())
            .await
            .map_err(|error| db("reading which version of a plan was prescribed", error))?;
        Ok(last.flatten().map(i32::unsigned_abs))
    }

    async fn lock_prescribing(&mut self, patient: PatientId) -> Result<()> {
        self.lock("waiting for a patient's prescriptions", format!("prescribing/{patient}")).await
    }

    async fn open_prescriptions(&mut self, patient: PatientId) -> Result<Vec<Prescription>> {
        let held = Entity::find()
            .filter(Column::PatientId.eq(patient))
            .filter(Column::State.is_in(AT_A_PHARMACY));
        Model::load(self, held.order_by_asc(Column::Id)).await
    }

    async fn taken_prescriptions(
        &mut self,
        patient: PatientId,
        today: NaiveDate,
    ) -> Result<Vec<Prescription>> {
        let lasts = Expr::cust_with_values("last_filled_on + days_supply::integer > $1", [today]);
        let lasts = Column::State.eq("completed").and(lasts);
        let taken = Condition::any().add(Column::State.is_in(OPEN)).add(lasts);
        let taken = Entity::find().filter(Column::PatientId.eq(patient)).filter(taken);
        Model::load(self, taken.order_by_asc(Column::Id)).await
    }

    async fn prescriptions(
        &mut self,
        reach: PrescriptionReach,
        request: &PageRequest,
    ) -> Result<Page<Prescription>> {
        let select = Entity::find().filter(within(reach));
        page_by_id::<Model>(self, select, Order::Desc, request).await
    }

    async fn fill_of(&mut self, dispatch: DispatchId) -> Result<Option<Fill>> {
        let doing = "loading a fill";
        let sql = "SELECT prescription_id, dispatch_id, number, filled_on, recorded_at \
                   FROM prescription_fills WHERE dispatch_id = $1";
        let found: Option<FillRow> = self.rows(doing, sql, [dispatch.into()]).await?.pop();
        let fill = |row: FillRow| {
            Ok(Fill {
                prescription: row.prescription_id,
                dispatch: row.dispatch_id,
                number: row.number.try_into().map_err(|error| PortError::internal(doing, error))?,
                filled_on: row.filled_on,
                at: row.recorded_at,
            })
        };
        found.map(fill).transpose()
    }

    async fn add_fill(&mut self, fill: &Fill) -> Result<()> {
        let added = self
            .execute(
                "recording a fill",
                "INSERT INTO prescription_fills \
                 (dispatch_id, prescription_id, patient_id, number, filled_on, recorded_at) \
                 SELECT $1, id, patient_id, $3, $4, $5 FROM prescriptions WHERE id = $2",
                [
                    fill.dispatch.into(),
                    fill.prescription.into(),
                    i16::from(fill.number).into(),
                    fill.filled_on.into(),
                    fill.at.into(),
                ],
            )
            .await?;
        expect_changed(added.rows_affected(), "prescriptions")
    }

    async fn message(&mut self, id: ErxMessageId) -> Result<Option<ErxMessage>> {
        let sql = "SELECT id, prescription_id, body, created_at FROM erx_messages WHERE id = $1";
        let found: Vec<MessageRow> = self.rows("loading an eRx message", sql, [id.into()]).await?;
        let message = |row: MessageRow| {
            Ok(ErxMessage {
                id: row.id,
                prescription: row.prescription_id,
                text: self.unseal_text(MESSAGE, row.id, row.body)?,
                created_at: row.created_at,
            })
        };
        found.into_iter().next().map(message).transpose()
    }

    async fn add_message(&mut self, message: &ErxMessage) -> Result<()> {
        let body = self.seal(MESSAGE, message.id, message.text.as_bytes())?;
        let added = self
            .execute(
                "keeping an eRx message",
                "INSERT INTO erx_messages (id, prescription_id, patient_id, body, created_at) \
                 SELECT $1, id, patient_id, $3, $4 FROM prescriptions WHERE id = $2",
                [
                    message.id.into(),
                    message.prescription.into(),
                    body.into(),
                    message.created_at.into(),
                ],
            )
            .await?;
        expect_changed(added.rows_affected(), "prescriptions")
    }

    async fn receive_message(&mut self, message: &ReceivedMessage) -> Result<bool> {
        let id: Uuid = self.env().fresh();
        let body = self.seal("erx_received.body", id, message.text.as_bytes())?;
        let added = self
            .execute(
                "keeping a received eRx message",
                "INSERT INTO erx_received \
                 (id, message_id, relates_to, prescription_id, patient_id, kind, body, \
                 received_at) \
                 SELECT $1, $2, $3, id, patient_id, $5, $6, $7 FROM prescriptions WHERE id = $4 \
                 ON CONFLICT ON CONSTRAINT erx_received_once DO NOTHING",
                [
                    id.into(),
                    message.message_id.clone().into(),
                    message.relates_to.into(),
                    message.prescription.into(),
                    message.kind.into(),
                    body.into(),
                    message.received_at.into(),
                ],
            )
            .await?;
        Ok(added.rows_affected() == 1)
    }

    async fn pharmacies(
        &mut self,
        active_only: bool,
        request: &PageRequest,
    ) -> Result<Page<Pharmacy>> {
        pharmacies::by_name(self, active_only, request).await
    }

    async fn default_pharmacy(&mut self, state: Option<UsState>) -> Result<Option<Pharmacy>> {
        pharmacies::default(self, state).await
    }

    async fn pharmacists(&mut self, pharmacy: PharmacyId) -> Result<Vec<AccountId>> {
        let sql =
            "SELECT account_id FROM pharmacy_staff WHERE pharmacy_id = $1 ORDER BY account_id";
        let found: Vec<Member> =
            self.rows("reading who works in a pharmacy", sql, [pharmacy.into()]).await?;
        Ok(found.into_iter().map(|member| member.account_id).collect())
    }

    async fn set_pharmacists(&mut self, pharmacy: PharmacyId, staff: &[AccountId]) -> Result<()> {
        let doing = "saying who works in a pharmacy";
        let gone = "DELETE FROM pharmacy_staff WHERE pharmacy_id = $1";
        self.execute(doing, gone, [pharmacy.into()]).await?;
        let accounts: Vec<Uuid> = staff.iter().map(|account| account.uuid()).collect();
        let sql = "INSERT INTO pharmacy_staff (pharmacy_id, account_id, assigned_at) \
                   SELECT $1, account, $3 FROM unnest($2::uuid[]) AS account";
        let now = self.now();
        self.execute(doing, sql, [pharmacy.into(), accounts.into(), now.into()]).await?;
        Ok(())
    }

    async fn works_at(&mut self, pharmacy: PharmacyId) -> Result<bool> {
        match self.actor().as_pharmacist() {
            Some(account) => Ok(self.pharmacists(pharmacy).await?.contains(&account)),
            None => Ok(self.actor().is_system()),
        }
    }
}

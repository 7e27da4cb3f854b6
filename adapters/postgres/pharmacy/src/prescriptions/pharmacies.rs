//! The pharmacy directory.

use kernel::{Address, Page, PageRequest, PharmacyId, UsState};
use pharmacy::prescription::Pharmacy;
use ports::Result;
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _, entity::prelude::*, sea_query::Expr};

use pg::{PgTx, Row, Unreadable, id_cursor, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pharmacies")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PharmacyId,
    pub ncpdp_id: String,
    pub npi: String,
    pub dea: Option<String>,
    pub name: String,
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    #[sea_orm(column_type = "Char(Some(2))")]
    pub state: String,
    pub postal_code: String,
    pub phone: String,
    pub mail_order: bool,
    pub licensed_in: Vec<String>,
    pub active: bool,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = Pharmacy;

    fn open(self) -> Result<Pharmacy, Unreadable> {
        let Self { id, name, line1, line2, city, postal_code, mail_order, active, version, .. } =
            self;
        Ok(Pharmacy {
            id,
            ncpdp_id: self.ncpdp_id.parse()?,
            npi: self.npi.parse()?,
            dea: self.dea.map(|dea| dea.parse()).transpose()?,
            name,
            address: Address { line1, line2, city, state: self.state.parse()?, postal_code },
            phone: self.phone.parse()?,
            mail_order,
            licensed_in: self
                .licensed_in
                .iter()
                .map(|state| state.parse())
                .collect::<Result<_, _>>()?,
            active,
            version,
        })
    }

    fn close(pharmacy: &Pharmacy) -> Self {
        let Pharmacy { id, name, address, mail_order, active, version, .. } = pharmacy.clone();
        let Address { line1, line2, city, state, postal_code } = address;
        Self {
            id,
            ncpdp_id: pharmacy.ncpdp_id.to_string(),
            npi: pharmacy.npi.to_string(),
            dea: pharmacy.dea.as_ref().map(ToString::to_string),
            name,
            line1,
            line2,
            city,
            state: state.to_string(),
            postal_code,
            phone: pharmacy.phone.to_string(),
            mail_order,
            licensed_in: pharmacy.licensed_in.iter().map(ToString::to_string).collect(),
            active,
            version,
        }
    }
}

pub async fn by_name(
    tx: &PgTx,
    active_only: bool,
    request: &PageRequest,
) -> Result<Page<Pharmacy>> {
    let after = id_cursor(request)?.map(|last| {
        let place = "(name, id) > (SELECT last.name, last.id FROM pharmacies last \
                     WHERE last.id = $1)";
        Expr::cust_with_values(place, [last])
    });
    let active = active_only.then(|| Column::Active.eq(true));
    let such = Condition::all().add_option(after).add_option(active);
    let select = reached::<Model>(tx).filter(such);
    let select = select.order_by_asc(Column::Name).order_by_asc(Column::Id);
    let found = Model::load(tx, select.limit(u64::from(request.limit()) + 1)).await?;
    Ok(Page::from_overfetch(found, request, |last| last.id.to_string()))
}

pub async fn default(tx: &PgTx, state: Option<UsState>) -> Result<Option<Pharmacy>> {
    let licensed =
        state.map(|state| Expr::cust_with_values("$1 = ANY (licensed_in)", [state.to_string()]));
    let such = Condition::all()
        .add(Column::Active.eq(true))
        .add(Column::MailOrder.eq(true))
        .add_option(licensed);
    let select = reached::<Model>(tx).filter(such).order_by_asc(Column::Id).limit(1);
    Ok(Model::load(tx, select).await?.pop())
}

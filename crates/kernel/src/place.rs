//! Places: the states in which a patient can be and a provider licensed.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

macro_rules! states {
    ($($code:ident, $name:literal, $zone:ident;)+) => {
        /// A state of the United States or the District of Columbia, by its
        /// postal code.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            Display, EnumIter, EnumString, IntoStaticStr,
        )]
        #[serde(rename_all = "UPPERCASE")]
        #[strum(serialize_all = "UPPERCASE", ascii_case_insensitive)]
        pub enum UsState {$($code,)+}

        impl From<UsState> for String {
            fn from(state: UsState) -> Self {
                state.to_string()
            }
        }

        impl UsState {
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$code,)+].into_iter()
            }

            pub const fn name(self) -> &'static str {
                match self {$(Self::$code => $name,)+}
            }

            /// The zone in which most of the state lives; a person's own zone
            /// goes before it.
            pub const fn zone(self) -> Tz {
                match self {$(Self::$code => Tz::$zone,)+}
            }

            /// Whether something that ends with that day, as a license does, has not
            /// ended yet by the calendar of the state.
            pub fn has_not_passed(self, last_day: NaiveDate, at: DateTime<Utc>) -> bool {
                at.with_timezone(&self.zone()).date_naive() <= last_day
            }
        }
    };
}

states! {
    Al, "Alabama", America__Chicago;
    Ak, "Alaska", America__Anchorage;
    Az, "Arizona", America__Phoenix;
    Ar, "Arkansas", America__Chicago;
    Ca, "California", America__Los_Angeles;
    Co, "Colorado", America__Denver;
    Ct, "Connecticut", America__New_York;
    De, "Delaware", America__New_York;
    Dc, "District of Columbia", America__New_York;
    Fl, "Florida", America__New_York;
    Ga, "Georgia", America__New_York;
    Hi, "Hawaii", Pacific__Honolulu;
    Id, "Idaho", America__Boise;
    Il, "Illinois", America__Chicago;
    In, "Indiana", America__Indianapolis;
    Ia, "Iowa", America__Chicago;
    Ks, "Kansas", America__Chicago;
    Ky, "Kentucky", America__New_York;
    La, "Louisiana", America__Chicago;
    Me, "Maine", America__New_York;
    Md, "Maryland", America__New_York;
    Ma, "Massachusetts", America__New_York;
    Mi, "Michigan", America__Detroit;
    Mn, "Minnesota", America__Chicago;
    Ms, "Mississippi", America__Chicago;
    Mo, "Missouri", America__Chicago;
    Mt, "Montana", America__Denver;
    Ne, "Nebraska", America__Chicago;
    Nv, "Nevada", America__Los_Angeles;
    Nh, "New Hampshire", America__New_York;
    Nj, "New Jersey", America__New_York;
    Nm, "New Mexico", America__Denver;
    Ny, "New York", America__New_York;
    Nc, "North Carolina", America__New_York;
    Nd, "North Dakota", America__Chicago;
    Oh, "Ohio", America__New_York;
    Ok, "Oklahoma", America__Chicago;
    Or, "Oregon", America__Los_Angeles;
    Pa, "Pennsylvania", America__New_York;
    Ri, "Rhode Island", America__New_York;
    Sc, "South Carolina", America__New_York;
    Sd, "South Dakota", America__Chicago;
    Tn, "Tennessee", America__Chicago;
    Tx, "Texas", America__Chicago;
    Ut, "Utah", America__Denver;
    Vt, "Vermont", America__New_York;
    Va, "Virginia", America__New_York;
    Wa, "Washington", America__Los_Angeles;
    Wv, "West Virginia", America__New_York;
    Wi, "Wisconsin", America__Chicago;
    Wy, "Wyoming", America__Denver;
}

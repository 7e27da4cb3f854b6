//! How often somebody may call: by address before a token is known, stricter
//! where tokens are given out, and by account and subscription tier after.
//!
//! Each caller has a bucket that fills evenly over a minute (GCRA). The buckets
//! are kept in memory that is bounded: under a flood of addresses the ones not
//! seen for longest are forgotten, and a forgotten caller starts with a full
//! bucket again.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use kernel::{
    Actor, ErrorKind,
    actor::{ActorKind, network},
};
use moka::{future::Cache, policy::EvictionPolicy};
use poem::{
    Request,
    http::{HeaderMap, HeaderValue, Method},
};

use super::{Problem, request_context};

/// Every quota is a number of requests a minute.
const WINDOW: Duration = Duration::from_secs(60);
/// How many callers are remembered; a bucket takes about 200 bytes.
const REMEMBERED: u64 = 100_000;

/// How many requests a minute each kind of caller has.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Of one address, without a token.
    pub anonymous: NonZeroU32,
    /// Of one address, where passwords and tokens are given out.
    pub sign_in: NonZeroU32,
    /// Of a patient without a subscription.
    pub free: NonZeroU32,
    pub basic: NonZeroU32,
    pub standard: NonZeroU32,
    pub premium: NonZeroU32,
    pub staff: NonZeroU32,
    /// Of an API client.
    pub client: NonZeroU32,
}

/// What decides an account's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, poem_openapi::Enum)]
#[oai(rename = "RateLimitTier", rename_all = "snake_case")]
pub enum CallerTier {
    /// A patient without a subscription in force.
    Free,
    Basic,
    Standard,
    Premium,
    Staff,
    Client,
}

/// Which subscription tier a patient has; the subscriptions know.
#[async_trait]
pub trait Tiers: Send + Sync {
    async fn tier(&self, patient: kernel::PatientId) -> ports::Result<CallerTier>;
}

/// Where a caller stands with one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub name: &'static str,
    pub limit: u32,
    pub remaining: u32,
    /// How long to wait for the next request, where there is none left.
    pub wait: Option<Duration>,
}

impl Standing {
    /// Until the whole quota is there again.
    pub fn reset(&self) -> Duration {
        let used = f64::from(self.limit - self.remaining.min(self.limit));
        let refill = WINDOW.mul_f64(used / f64::from(self.limit));
        refill.max(self.wait.unwrap_or_default())
    }

    fn problem(&self) -> Problem {
        let seconds = whole_seconds(self.wait.unwrap_or_default()).max(1);
        Problem::new(
            ErrorKind::RateLimited,
            "rate_limited",
            format!("At most {} requests a minute; try again in {seconds} s.", self.limit),
        )
    }
}

/// Seconds of a header, rounded up so that who waits them waits long enough.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

type Bucket<C> = RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Anonymous(IpAddr),
    SignIn(IpAddr),
    Account(String, CallerTier),
}

/// The buckets of all callers.
pub struct Limits<C: Clock = DefaultClock> {
    quotas: Quotas,
    clock: C,
    buckets: Cache<Key, Arc<Bucket<C>>>,
    tiers: Arc<dyn Tiers>,
    known: Cache<kernel::PatientId, CallerTier>,
}

impl Limits {
    pub fn new(quotas: Quotas, tiers: Arc<dyn Tiers>) -> Self {
        Self::with_clock(quotas, tiers, DefaultClock::default(), REMEMBERED)
    }
}

impl<C: Clock + Clone + Send + Sync + 'static> Limits<C>
where
    C::Instant: Send + Sync,
{
    fn with_clock(quotas: Quotas, tiers: Arc<dyn Tiers>, clock: C, remembered: u64) -> Self {
        // A bucket that was not drawn from for its window is full again, so
        // that forgetting it changes nothing.
        let buckets = Cache::builder()
            .max_capacity(remembered)
            .time_to_idle(WINDOW)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        // A tier that was just bought counts within half a minute.
        let known = Cache::builder().max_capacity(remembered).time_to_live(WINDOW / 2).build();
        Self { quotas, clock, buckets, tiers, known }
    }

    fn quota(&self, key: &Key) -> (&'static str, NonZeroU32) {
        match key {
            Key::Anonymous(_) => ("anonymous", self.quotas.anonymous),
            Key::SignIn(_) => ("sign_in", self.quotas.sign_in),
            Key::Account(_, tier) => {
                let quota = match tier {
                    CallerTier::Free => self.quotas.free,
                    CallerTier::Basic => self.quotas.basic,
                    CallerTier::Standard => self.quotas.standard,
                    CallerTier::Premium => self.quotas.premium,
                    CallerTier::Staff => self.quotas.staff,
                    CallerTier::Client => self.quotas.client,
                };
                ("account", quota)
            }
        }
    }

    /// Takes one request out of the bucket.
    async fn draw(&self, key: Key) -> Standing {
        let (name, limit) = self.quota(&key);
        let clock = self.clock.clone();
        let bucket = self
            .buckets
            .get_with(key, async move {
                let quota = Quota::per_minute(limit);
                let bucket = RateLimiter::direct_with_clock(quota, clock);
                Arc::new(bucket.with_middleware::<StateInformationMiddleware>())
            })
            .await;
        match bucket.check() {
            Ok(state) => Standing {
                name,
                limit: limit.get(),
                remaining: state.remaining_burst_capacity(),
                wait: None,
            },
            Err(until) => Standing {
                name,
                limit: limit.get(),
                remaining: 0,
                wait: Some(until.wait_time_from(self.clock.now())),
            },
        }
    }

    /// Draws for a request before anybody is known: for what has no token, and
    /// always where tokens are given out.
    pub async fn before(&self, request: &Request) -> Result<(), Problem> {
        let path = request.uri().path();
        let Some(address) = request_context(request).ip.map(network) else { return Ok(()) };
        let key = if gives_tokens(request.method(), path) {
            Key::SignIn(address)
        } else if is_exempt(path) || request.headers().contains_key("authorization") {
            return Ok(());
        } else {
            Key::Anonymous(address)
        };
        note(self.draw(key).await)
    }

    /// A token that is none counts as a request without one.
    pub async fn after_refusal(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.draw(Key::Anonymous(network(address))).await;
        }
    }

    /// Draws for a caller who is known.
    pub async fn of(&self, actor: &Actor) -> Result<(), Problem> {
        let id = match &actor.kind {
            ActorKind::Client { client, .. } => client.to_string(),
            ActorKind::Account { account, .. } => account.to_string(),
            ActorKind::Anonymous | ActorKind::System { .. } => return Ok(()),
        };
        let tier = self.tier(actor).await;
        note(self.draw(Key::Account(id, tier)).await)
    }

    /// What decides the caller's quota.
    pub async fn tier(&self, actor: &Actor) -> CallerTier {
        match (&actor.kind, actor.as_patient()) {
            (ActorKind::Client { .. }, _) => CallerTier::Client,
            (_, Some(patient)) => self.tier_of(patient).await,
            (_, None) => CallerTier::Staff,
        }
    }

    /// Without an answer the patient counts as one without a subscription: the
    /// limit is for fairness, and a request is not lost to it.
    async fn tier_of(&self, patient: kernel::PatientId) -> CallerTier {
        if let Some(tier) = self.known.get(&patient).await {
            return tier;
        }
        match self.tiers.tier(patient).await {
            Ok(tier) => {
                self.known.insert(patient, tier).await;
                tier
            }
            Err(error) => {
                tracing::warn!(%error, "a caller's subscription tier could not be read");
                CallerTier::Free
            }
        }
    }
}

tokio::task_local! {
    static DRAWN: Mutex<Vec<Standing>>;
}

/// Runs a request with a place to remember what was drawn for it.
pub(super) async fn remembering<T>(work: impl Future<Output = T>) -> (T, Vec<Standing>) {
    DRAWN
        .scope(Mutex::new(Vec::new()), async {
            let outcome = work.await;
            (outcome, drawn())
        })
        .await
}

/// What was drawn for this request so far.
pub fn drawn() -> Vec<Standing> {
    DRAWN
        .try_with(|drawn| drawn.lock().unwrap_or_else(PoisonError::into_inner).clone())
        .unwrap_or_default()
}

fn note(standing: Standing) -> Result<(), Problem> {
    let _ =
        DRAWN.try_with(|drawn| drawn.lock().unwrap_or_else(PoisonError::into_inner).push(standing));
    match standing.wait {
        Some(_) => {
            metrics::counter!("rate_limited_total", "limit" => standing.name).increment(1);
            Err(standing.problem())
        }
        None => Ok(()),
    }
}

/// Says in the answer where the caller stands with the limit that is nearest.
pub(super) fn describe(standings: &[Standing], headers: &mut HeaderMap) {
    let nearest =
        standings.iter().min_by(|a, b| (a.remaining * b.limit).cmp(&(b.remaining * a.limit)));
    let Some(nearest) = nearest else { return };
    let mut say = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    say("ratelimit-limit", nearest.limit.to_string());
    say("ratelimit-remaining", nearest.remaining.to_string());
    say("ratelimit-reset", whole_seconds(nearest.reset()).to_string());
    say("ratelimit-policy", format!("{};w={}", nearest.limit, WINDOW.as_secs()));
    if let Some(wait) = nearest.wait {
        say("retry-after", whole_seconds(wait).max(1).to_string());
    }
}

fn gives_tokens(method: &Method, path: &str) -> bool {
    let signed_in = ["logout", "permissions", "rate-limits", "validate-access", "upgrade-prompt"];
    match path.strip_prefix("/api/auth/") {
        Some(rest) => {
            method == Method::POST && !signed_in.contains(&rest.split('/').next().unwrap_or(rest))
        }
        None => path == "/oauth/token",
    }
}

/// Vendors' notices and operators' questions are never turned away.
fn is_exempt(path: &str) -> bool {
    ["/webhooks/", "/health", "/metrics"].iter().any(|prefix| path.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    struct Nobody;

    #[async_trait]
    impl Tiers for Nobody {
        async fn tier(&self, _: kernel::PatientId) -> ports::Result<CallerTier> {
            Ok(CallerTier::Free)
        }
    }

    fn limits(remembered: u64) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let quota = NonZeroU32::new(6).unwrap();
        let quotas = Quotas {
            anonymous: quota,
            sign_in: quota,
            free: quota,
            basic: quota,
            standard: quota,
            premium: NonZeroU32::new(12).unwrap(),
            staff: quota,
            client: quota,
        };
        let clock = FakeRelativeClock::default();
        (Limits::with_clock(quotas, Arc::new(Nobody), clock.clone(), remembered), clock)
    }

    #[tokio::test]
    async fn a_bucket_is_emptied_and_fills_evenly() {
        let (limits, clock) = limits(10);
        let key = || Key::Anonymous("192.0.2.1".parse().unwrap());
        for left in (0..6).rev() {
            let standing = limits.draw(key()).await;
            assert_eq!((standing.remaining, standing.wait), (left, None));
        }
        let refused = limits.draw(key()).await;
        assert_eq!(refused.wait, Some(Duration::from_secs(10)));
        assert_eq!(refused.reset(), WINDOW);
        let other = limits.draw(Key::Anonymous("192.0.2.2".parse().unwrap())).await;
        assert_eq!(other.wait, None, "one caller's requests are not another's");
        clock.advance(Duration::from_secs(10));
        assert_eq!(limits.draw(key()).await.wait, None);
        assert!(limits.draw(key()).await.wait.is_some());
    }

    #[tokio::test]
    async fn a_dearer_tier_has_more() {
        let (limits, _) = limits(10);
        let mut allowed = 0;
        while limits.draw(Key::Account("a".into(), CallerTier::Premium)).await.wait.is_none() {
            allowed += 1;
        }
        assert_eq!(allowed, 12);
    }

    #[tokio::test]
    async fn a_flood_of_addresses_takes_bounded_memory() {
        let (limits, _) = limits(1_000);
        for number in 0..200_000_u32 {
            limits.draw(Key::Anonymous(IpAddr::V4(number.into()))).await;
        }
        limits.buckets.run_pending_tasks().await;
        assert!(limits.buckets.entry_count() <= 1_000, "{}", limits.buckets.entry_count());
        // Whoever comes after the flood is still held to the quota.
        let key = || Key::Anonymous("198.51.100.7".parse().unwrap());
        for _ in 0..6 {
            assert_eq!(limits.draw(key()).await.wait, None);
        }
        assert!(limits.draw(key()).await.wait.is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_caller() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn what_gives_tokens_is_known() {
        for path in ["/api/auth/login", "/api/auth/session-refresh", "/oauth/token"] {
            assert!(gives_tokens(&Method::POST, path), "{path}");
        }
        for path in ["/api/auth/logout", "/api/auth/rate-limits", "/api/plans"] {
            assert!(!gives_tokens(&Method::POST, path), "{path}");
        }
    }

    #[test]
    fn the_headers_tell_of_the_nearest_limit() {
        let mut headers = HeaderMap::new();
        let far = Standing { name: "account", limit: 600, remaining: 599, wait: None };
        let wait = Some(Duration::from_millis(1_200));
        let near = Standing { name: "sign_in", limit: 30, remaining: 0, wait };
        describe(&[far, near], &mut headers);
        let said = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(said("ratelimit-limit"), "30");
        assert_eq!(said("ratelimit-remaining"), "0");
        assert_eq!(said("ratelimit-reset"), "60");
        assert_eq!(said("retry-after"), "2");
    }
}

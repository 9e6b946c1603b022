//! One suite that every database behind the store's trait must pass.
#![cfg(feature = "serve")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "store/admin.rs"]
mod admin;
#[path = "store/delivering.rs"]
mod delivering;
#[path = "store/ending.rs"]
mod ending;
#[path = "store/fairness.rs"]
mod fairness;
#[path = "store/fixture.rs"]
mod fixture;
#[path = "store/keeping.rs"]
mod keeping;
#[path = "store/keys.rs"]
mod keys;
#[path = "store/leasing.rs"]
mod leasing;
#[path = "store/postgres_database.rs"]
mod postgres_database;
#[path = "store/postgres_nodes.rs"]
mod postgres_nodes;
#[path = "store/postgres_server.rs"]
mod postgres_server;
#[path = "store/random.rs"]
mod random;
#[path = "store/sqlite_file.rs"]
mod sqlite_file;
#[path = "store/submitting.rs"]
mod submitting;
#[path = "store/sweeping.rs"]
mod sweeping;

use std::sync::Arc;

use async_trait::async_trait;
use fixture::{Backend, Settings};
use postgres_server::Postgres;
use spinelift::store::sqlite::{Durability, SqliteOptions, SqliteStore};
use spinelift::store::{Result, Store};

/// One file in a folder that goes away with the test.
struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    async fn new() -> Option<Self> {
        Some(Self { folder: tempfile::tempdir().unwrap() })
    }
}

#[async_trait]
impl Backend for Sqlite {
    async fn open(&self, settings: Settings) -> Result<Arc<dyn Store>> {
        let options = SqliteOptions {
            path: self.folder.path().join("made/at/need/jobs.db"),
            // The suite is about what is written, not about loss of power.
            durability: Durability::Process,
            queue_limit: settings.queue_limit,
            timing: settings.timing,
        };
        Ok(SqliteStore::open(options).await?)
    }
}

/// Every test of the suite, once for each database. A test that is not in the list is unused code, which the lints tell.
macro_rules! suite {
    ($backend:ident: $($part:ident { $($test:ident,)+ })+) => {
        $(mod $part {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let Some(backend) = crate::$backend::new().await else { return };
                    crate::$part::$test(&backend).await;
                }
            )+
        })+
    };
}

macro_rules! every_database {
    ($($list:tt)+) => {
        mod sqlite {
            suite! { Sqlite: $($list)+ }
        }

        mod postgres {
            suite! { Postgres: $($list)+ }
        }
    };
}

every_database! {
    submitting {
        a_new_job_is_queued_with_its_first_event,
        an_unknown_id_is_no_job,
        the_same_request_is_the_same_job,
        another_request_under_a_taken_id_is_refused,
        owners_do_not_share_ids_or_keys,
        a_known_key_replays_its_job,
        a_key_is_remembered_for_a_job_that_was_there,
        a_cancelled_job_starts_anew,
        a_passing_failure_starts_anew_and_a_lasting_one_does_not,
        fifty_equal_submissions_at_once_make_one_job,
        many_at_once_are_answered_in_their_order,
        a_full_queue_refuses_new_jobs_only,
    }
    leasing {
        jobs_are_claimed_in_the_order_of_their_acceptance,
        no_job_is_claimed_twice_by_workers_at_once,
        a_heartbeat_keeps_a_lease_alive,
        a_stale_token_writes_nothing,
        an_unknown_token_is_lost,
        a_released_job_is_as_if_never_claimed,
        a_released_job_that_was_to_end_is_cancelled,
        an_expired_lease_is_taken_back,
        a_lease_that_lives_is_not_taken_back,
        a_dead_workers_job_waits_longer_with_each_death,
        the_third_death_fails_the_job,
        a_dead_workers_job_that_was_to_end_is_cancelled,
        a_job_that_a_worker_died_of_runs_alone,
    }
    fairness {
        a_flood_does_not_delay_another_owner,
        single_claims_go_round,
        an_owners_jobs_keep_their_order,
        shares_are_equal_and_what_is_left_is_filled_up,
        where_owners_are_many_each_has_one_turn,
        turns_go_on_behind_the_last_whoever_comes,
        an_owner_whose_jobs_wait_takes_no_turn,
        a_suspects_turn_waits_and_is_not_lost,
        a_suspect_in_a_later_round_is_next,
        turns_are_even_over_many_claims,
    }
    ending {
        progress_only_grows,
        a_completed_job_has_its_result_and_one_final_event,
        a_failed_job_keeps_its_progress_and_says_why,
        a_retry_waits_its_time,
        a_retry_of_a_job_that_was_to_end_is_a_cancel,
        a_queued_job_is_cancelled_at_once,
        a_running_job_hears_of_its_cancel,
        a_job_may_finish_before_it_hears_of_its_cancel,
        a_finished_job_stays_as_it_is,
        nothing_is_written_after_the_end,
        listeners_and_waiters_are_woken,
    }
    delivering {
        the_first_event_is_delivered,
        no_callback_means_no_delivery,
        only_the_newest_progress_waits,
        the_final_event_passes_over_waiting_progress,
        one_job_has_one_callback_in_flight,
        final_callbacks_go_first_then_the_longest_due,
        a_dead_senders_callback_is_sent_again,
        a_stale_sender_is_lost,
        a_retry_is_due_after_its_time,
        progress_to_be_retried_gives_way_to_the_newer,
        a_callback_put_off_is_due_later_and_has_not_been_tried,
        an_ended_delivery_is_not_sent_again,
        a_restarted_jobs_progress_is_told_after_its_old_end,
        the_next_callbacks_time_is_known,
        a_receiver_without_a_turn_is_passed_over,
        a_later_end_passes_over_an_earlier_one,
        every_stage_is_told_while_the_receiver_keeps_up,
        after_a_slow_answer_only_the_newest_is_told,
        the_end_does_not_wait_long_for_what_came_before_it,
        an_end_long_due_goes_before_its_progress_which_is_then_dropped,
        an_end_long_due_is_not_claimed_with_its_progress,
        callbacks_are_listed_with_their_attempts,
        a_callback_is_sent_again_with_its_schedule_from_the_start,
        what_is_in_flight_or_passed_over_is_not_sent_again,
        only_the_newest_attempts_are_kept,
    }
    keeping {
        a_list_is_newest_first_and_goes_on_from_its_cursor,
        a_batch_counts_its_jobs,
        the_queue_at_a_glance,
        events_are_read_in_parts,
        a_result_is_shared_by_its_cache_key,
        old_jobs_go_with_all_that_is_theirs,
        failed_jobs_are_kept_for_their_own_time,
        a_job_whose_callback_is_owed_is_kept,
        much_is_deleted_in_parts,
        needed_blobs_are_named,
        all_is_there_after_a_restart,
        a_closed_store_says_so,
        a_healthy_database_is_writable,
    }
    keys {
        a_key_is_kept_as_it_was_added,
        a_revoked_key_stays_revoked,
        the_use_of_keys_is_noted,
        no_two_keys_have_one_secret,
        a_name_that_could_do_harm_is_not_kept,
        keys_are_there_after_a_restart,
    }
    admin {
        jobs_of_every_owner_are_found,
        an_id_finds_the_job_of_each_owner,
        all_that_is_kept_of_a_job_is_shown,
        what_ended_without_a_result_is_started_anew_by_hand,
        a_retry_tells_its_callers_receiver_of_the_new_run,
        what_waits_for_a_later_attempt_is_hurried,
        what_runs_can_start_or_has_its_result_is_left_alone,
        a_retry_has_no_limit_and_is_counted,
        jobs_are_called_off_by_hand,
        only_what_has_ended_and_is_still_meant_is_deleted,
        a_job_whose_callback_is_owed_is_deleted_only_if_that_is_meant,
        much_is_changed_in_parts,
        the_queue_is_known_by_owner,
        nodes_come_and_go,
        a_closed_store_answers_no_operator,
    }
    sweeping {
        a_doomed_blob_is_not_referred_to_by_a_submission,
        a_spared_blob_is_as_before,
        who_put_a_blob_before_it_went_puts_it_again,
        what_was_put_long_ago_is_not_referred_to,
        a_job_completed_with_a_doomed_blob_is_done_again,
        a_doomed_blob_has_one_sweeper,
        a_known_job_is_answered_though_its_blob_is_doomed_for_others,
        one_takes_the_turn_of_all,
        a_database_knows_its_own_name,
    }
    random {
        any_sequence_of_operations_tells_a_legal_story,
    }
}

/// What only a database of one process can do: the others' nodes may still live.
mod sqlite_alone {
    suite! {
        Sqlite:
        leasing {
            a_restart_takes_everything_back_at_once,
            a_restart_counts_deaths_too,
        }
    }
}

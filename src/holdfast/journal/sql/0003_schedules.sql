-- What is to be started when, and what became of the times that have passed.

-- name: schedules
-- body: the Schedule as JSON. waiting: times that begin a run when `current`, the one begun last, has ended; a JSON array.
-- revision grows with each change, and whoever writes must know it.
create table schedules (
    name        text    primary key,
    agent       text    not null,
    body        text    not null,
    revision    integer not null,
    paused      integer not null,
    ruled_until real    not null,
    next_at     real,
    current     text    not null,
    waiting     text    not null
) strict, without rowid;
create index schedules_due on schedules (next_at) where next_at is not null and not paused;
create index schedules_waiting on schedules (name) where waiting <> '[]' and not paused;

-- name: firings
-- A row a time, or several times of which the same became: `count` of them, from planned_at to until.
create table firings (
    schedule   text    not null references schedules (name) on delete cascade,
    planned_at real    not null,
    became     text    not null,
    ruled_at   real    not null,
    run_id     text    not null,
    why        text    not null,
    caught_up  integer not null,
    count      integer not null,
    until      real    not null,
    primary key (schedule, planned_at)
) strict, without rowid;

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE messages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	agent INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	role TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	event INTEGER, 
	completion INTEGER, 
	tokens INTEGER NOT NULL, 
	units INTEGER NOT NULL, 
	embed BOOLEAN NOT NULL, 
	call_id TEXT, 
	name TEXT, 
	meta TEXT NOT NULL, 
	text TEXT NOT NULL, 
	shown TEXT NOT NULL, speaker TEXT DEFAULT '' NOT NULL, usage TEXT, withdrawn INTEGER, erased BOOLEAN DEFAULT 0 NOT NULL, 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE, 
	UNIQUE (agent, seq)
);
CREATE INDEX messages_of_event ON messages (agent, event, seq);
CREATE TABLE sections (
	id INTEGER NOT NULL, 
	agent INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE, 
	UNIQUE (agent, name)
);
CREATE TABLE section_versions (
	agent INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	description TEXT NOT NULL, 
	token_limit INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	read_only BOOLEAN NOT NULL, born INTEGER, 
	PRIMARY KEY (agent, name, version), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
);
CREATE TABLE passages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	agent INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	units INTEGER NOT NULL, 
	embed BOOLEAN NOT NULL, 
	tags TEXT NOT NULL, 
	source TEXT NOT NULL, 
	text TEXT NOT NULL, title TEXT DEFAULT '' NOT NULL, document INTEGER, page INTEGER, section TEXT DEFAULT '' NOT NULL, start INTEGER, stop INTEGER, born INTEGER, event INTEGER, withdrawn INTEGER, valid_from INTEGER, valid_until INTEGER, superseded INTEGER, ended INTEGER, marked INTEGER, found INTEGER, same INTEGER, about INTEGER, 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE, 
	UNIQUE (agent, number)
);
CREATE TABLE passage_tags (
	agent INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	tag TEXT NOT NULL, 
	PRIMARY KEY (agent, number, tag), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE inbox (
	agent INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	text TEXT NOT NULL, 
	"key" TEXT, 
	sender TEXT, 
	at INTEGER, 
	state TEXT NOT NULL, 
	started INTEGER, 
	rank INTEGER, attempts INTEGER DEFAULT '0' NOT NULL, parked TEXT, hops INTEGER DEFAULT '0' NOT NULL, trace TEXT, media TEXT, 
	PRIMARY KEY (agent, number), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE, 
	UNIQUE (agent, "key")
);
CREATE INDEX inbox_open ON inbox (agent, rank, number) WHERE rank IS NOT NULL;
CREATE TABLE schedules (
	agent INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	due INTEGER NOT NULL, 
	cron TEXT, 
	zone TEXT NOT NULL, 
	catch_up TEXT NOT NULL, 
	note TEXT NOT NULL, parked TEXT, hops INTEGER DEFAULT '0' NOT NULL, event INTEGER, withdrawn INTEGER, 
	PRIMARY KEY (agent, number), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
);
CREATE VIRTUAL TABLE lexicon USING fts5(units, tokenize = 'ascii', columnsize = 0);
CREATE VIRTUAL TABLE lexicon_postings USING fts5vocab('lexicon', 'instance');
CREATE VIRTUAL TABLE lexicon_terms USING fts5vocab('lexicon', 'row');
CREATE TABLE speakers (
	agent INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (agent, name), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE INDEX passages_of_document ON passages (agent, document, number);
CREATE INDEX passages_of_tag ON passage_tags (agent, tag, number);
CREATE TABLE deletions (
	agent INTEGER NOT NULL, 
	change INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	PRIMARY KEY (agent, change, number), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE documents (
	agent INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	title TEXT NOT NULL, 
	media TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	pages INTEGER NOT NULL, 
	tags TEXT NOT NULL, 
	PRIMARY KEY (agent, number), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE, 
	UNIQUE (agent, source)
);
CREATE TABLE document_pages (
	agent INTEGER NOT NULL, 
	document INTEGER NOT NULL, 
	page INTEGER NOT NULL, 
	heading TEXT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (agent, document, page), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
);
CREATE TABLE vectors (
	agent INTEGER NOT NULL, 
	tier TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	part INTEGER NOT NULL, 
	text_hash BLOB NOT NULL, 
	vector BLOB NOT NULL, 
	PRIMARY KEY (agent, tier, fingerprint, number, part), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE embedders (
	fingerprint TEXT NOT NULL, 
	name TEXT NOT NULL, 
	dimensions INTEGER NOT NULL, 
	wanted BOOLEAN NOT NULL, 
	in_service BOOLEAN NOT NULL, walked INTEGER DEFAULT '0', 
	PRIMARY KEY (fingerprint)
);
CREATE TABLE "agents" (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	tenant TEXT DEFAULT '' NOT NULL, 
	name TEXT NOT NULL, 
	created INTEGER NOT NULL, 
	last_seq INTEGER DEFAULT '0' NOT NULL, 
	last_passage INTEGER DEFAULT '0' NOT NULL, 
	last_event INTEGER DEFAULT '0' NOT NULL, 
	last_schedule INTEGER DEFAULT '0' NOT NULL, 
	last_document INTEGER DEFAULT '0' NOT NULL, 
	recall_rows INTEGER DEFAULT '0' NOT NULL, 
	recall_units INTEGER DEFAULT '0' NOT NULL, 
	archival_rows INTEGER DEFAULT '0' NOT NULL, 
	archival_units INTEGER DEFAULT '0' NOT NULL, 
	recall_changes INTEGER DEFAULT '0' NOT NULL, 
	recall_rebuilds INTEGER DEFAULT '0' NOT NULL, 
	archival_changes INTEGER DEFAULT '0' NOT NULL, 
	archival_rebuilds INTEGER DEFAULT '0' NOT NULL, 
	start INTEGER NOT NULL, 
	summary INTEGER, 
	pinned INTEGER, 
	head TEXT NOT NULL, 
	warned BOOLEAN NOT NULL, 
	ratio FLOAT NOT NULL, 
	settings TEXT NOT NULL, lease_fence INTEGER DEFAULT '0' NOT NULL, parked TEXT, ready INTEGER, holder TEXT, unembedded INTEGER, last_outgoing INTEGER DEFAULT '0' NOT NULL, last_segment INTEGER DEFAULT '0' NOT NULL, attachment_changes INTEGER DEFAULT '0' NOT NULL, undecided INTEGER, hold TEXT, 
	UNIQUE (tenant, name)
);
CREATE TABLE usage_totals (
	agent INTEGER NOT NULL, 
	start INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	answered TEXT NOT NULL, 
	tier INTEGER NOT NULL, 
	requests INTEGER NOT NULL, 
	estimated INTEGER NOT NULL, 
	input INTEGER NOT NULL, 
	output INTEGER NOT NULL, 
	cached INTEGER NOT NULL, 
	written INTEGER NOT NULL, 
	thinking INTEGER NOT NULL, 
	measured INTEGER NOT NULL, 
	off INTEGER NOT NULL, 
	PRIMARY KEY (agent, start, model, answered, tier), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE INDEX messages_with_usage ON messages (agent, at) WHERE usage IS NOT NULL;
CREATE TABLE index_blocks (
	agent INTEGER NOT NULL, 
	tier TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	block INTEGER NOT NULL, 
	count INTEGER NOT NULL, 
	names TEXT NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (agent, tier, fingerprint, block), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
);
CREATE INDEX agents_ready ON agents (tenant, ready) WHERE ready IS NOT NULL AND holder IS NULL AND parked IS NULL;
CREATE INDEX agents_unembedded ON agents (unembedded) WHERE unembedded IS NOT NULL;
CREATE INDEX schedules_due ON schedules (due) WHERE parked IS NULL;
CREATE INDEX usage_totals_start ON usage_totals (start);
CREATE TABLE vector_marks (
	agent INTEGER NOT NULL, 
	fingerprint TEXT NOT NULL, 
	tier TEXT NOT NULL, 
	done INTEGER NOT NULL, 
	PRIMARY KEY (agent, fingerprint, tier), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE attachments (
	agent INTEGER NOT NULL, 
	target TEXT NOT NULL, 
	read_only BOOLEAN NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (agent, target), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE outbox (
	agent INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	target TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	at INTEGER NOT NULL, parked TEXT, 
	PRIMARY KEY (agent, number), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE deliveries (
	agent INTEGER NOT NULL, 
	sender INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	PRIMARY KEY (agent, sender), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE segments (
	agent INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	tier TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	first INTEGER NOT NULL, 
	last INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	rows INTEGER NOT NULL, 
	dead INTEGER NOT NULL, 
	PRIMARY KEY (agent, number), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE word_blocks (
	agent INTEGER NOT NULL, 
	segment INTEGER NOT NULL, 
	block INTEGER NOT NULL, 
	count INTEGER NOT NULL, 
	unit TEXT NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (agent, segment, unit, block), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE INDEX attachments_of_target ON attachments (target, agent);
CREATE TABLE approvals (
	agent INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	event INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	arguments TEXT NOT NULL, 
	asked INTEGER NOT NULL, 
	expires INTEGER, 
	decision TEXT NOT NULL, 
	note TEXT NOT NULL, 
	changed TEXT, 
	decided INTEGER, 
	person TEXT NOT NULL, 
	PRIMARY KEY (agent, number), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE grants (
	agent INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	person TEXT NOT NULL, 
	PRIMARY KEY (agent, name), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE INDEX approvals_undecided ON approvals (expires) WHERE decision = '';
CREATE TABLE media (
	agent INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	media_type TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (agent, hash), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
);
CREATE TABLE api_keys (
	tenant TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	role TEXT NOT NULL, 
	agents TEXT, 
	tag TEXT, 
	speaks BOOLEAN NOT NULL, 
	created INTEGER NOT NULL, rate INTEGER, body INTEGER, 
	PRIMARY KEY (tenant, name), 
	UNIQUE (digest)
)
 WITHOUT ROWID

;
CREATE TABLE audit (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	tenant TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	who TEXT NOT NULL, 
	what TEXT NOT NULL
);
CREATE INDEX audit_of_tenant ON audit (tenant, id);
CREATE TABLE quotas (
	tenant TEXT NOT NULL, 
	agent_limit INTEGER, 
	row_limit INTEGER, 
	document_limit INTEGER, 
	daily_tokens INTEGER, 
	daily_cost FLOAT, media_bytes INTEGER, 
	PRIMARY KEY (tenant)
)
 WITHOUT ROWID

;
CREATE TABLE recall_deletions (
	agent INTEGER NOT NULL, 
	change INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	PRIMARY KEY (agent, change, number), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE tombstones (
	agent INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	person TEXT NOT NULL, 
	counts TEXT NOT NULL, 
	PRIMARY KEY (agent, number), 
	FOREIGN KEY(agent) REFERENCES agents (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE INDEX messages_withdrawn ON messages (agent, at) WHERE withdrawn IS NOT NULL;
CREATE INDEX passages_of_event ON passages (agent, event) WHERE event IS NOT NULL;
CREATE INDEX passages_same ON passages (agent, same, number) WHERE same IS NOT NULL;
CREATE INDEX passages_about ON passages (agent, about, number) WHERE about IS NOT NULL;
CREATE INDEX passages_limited ON passages (agent, number) WHERE valid_from IS NOT NULL OR valid_until IS NOT NULL OR superseded IS NOT NULL;
CREATE INDEX passages_superseded ON passages (agent, superseded) WHERE superseded IS NOT NULL;
CREATE INDEX passages_unkeyed ON passages (agent, number) WHERE same IS NULL AND coalesce(document, 0) = 0;
INSERT INTO alembic_version VALUES ('0021');

BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE artifact (
	collection_id INTEGER NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	data BLOB NOT NULL, 
	created_at VARCHAR NOT NULL, 
	CONSTRAINT pk_artifact PRIMARY KEY (collection_id, fingerprint), 
	CONSTRAINT fk_artifact_collection_id FOREIGN KEY(collection_id) REFERENCES collection (id)
);
CREATE TABLE chunk (
	"key" INTEGER NOT NULL, 
	generation_id INTEGER NOT NULL, 
	document_key INTEGER NOT NULL, 
	change INTEGER NOT NULL, 
	start INTEGER NOT NULL, 
	"end" INTEGER NOT NULL, 
	CONSTRAINT pk_chunk PRIMARY KEY ("key"), 
	CONSTRAINT fk_chunk_generation_id FOREIGN KEY(generation_id) REFERENCES generation (id)
);
INSERT INTO "chunk" VALUES(1,1,1,1,0,38);
INSERT INTO "chunk" VALUES(2,1,2,1,0,53);
INSERT INTO "chunk" VALUES(4,1,4,2,0,36);
CREATE TABLE code (
	"key" INTEGER NOT NULL, 
	code BLOB NOT NULL, 
	CONSTRAINT pk_code PRIMARY KEY ("key")
);
INSERT INTO "code" VALUES(1,X'2F0B1100F7FCD70A1AFF1BF3E6DF1821FC04E6CA1E0F23F315E90AB4FD371BE519FD3B03EB0D2EFEFF0F161A220EFA08132A032BF010ECEDEBE7DD440FE53A1F011C221302F5F31210E103F80EF10000261AF80B1213200D00FDFCFCE70C02231B17B8D619E7FE230F6108030FD313080609FF0608ECD5F20F102107EC05E232F00321292CC5040B26D4F421EB11F1F9D6E90EE905FC2D0CF702DCEF02E6F406E717E9EDE626FBC3F1D003D50533E81BF0DF06F2ECEEF9E025E007E5E3F0F906D6CFFFF80D04FF090606DC1709F605EAB21E0A0EEC10F4E0FD1B33EAE7FCD2000931F1FDDB170E1012F1CCFFF51DCDE9D12503F8EEF4E9E1060B2322111019F1');
INSERT INTO "code" VALUES(2,X'0EEE35EBE6DF0F0F26FE0710DF03FD16E042F7F8FA030EF53B27E7151ECF17F7D8E343E8EBFC09F703F207C819E2F924EC14F9F0EFE0DFF0EAFDEB1E0BEADFECF322FD170100D92604C8380BEFD3FE02D9DFFEE8CDF0BDF5EBFFFBF2DBEAF9F1CC2BF9DA42B9FBF2EF18F910F9E4FB1404080F2430C9DCFEE605FA10FEF320130FEBFDFA052527020A11DC40FAF1F8D716FE06ECFB07F2F0300D0A1128C5F9F219F8120EEDDDEFF0FE2101FD20E2DEF204E01603FB0113CFEBF83E18080330FB0629111EF10AEEFB0501E30D00080FD7E8F21917E5FFFD0F00F8F7F2160DECE9FE06171E0419FB12F0F3E6CCD4EBF6ECFFFB0FDF1FFFDDD5CC1F140BE8E8E7E7');
INSERT INTO "code" VALUES(4,X'250CFADA05F60EF7232C1BF801E0F0061522D21809090613071FFFFAF2F2E201F7C034052DEC01F2F312EF0CE9EC03D1021C1B10FFFE04F0F526DA2AF5121026190E1709F814F7E5F71F1F18EF42FAF20FDA1BBC06E6E42D14F5284FF10A26DA2303E8192BCBC806F00FC733D301F9120835291006CE000A150804FA1A04F2C9F40F22F3E60A0BEE0B04ED23E011FAC803EB05DC09E225FD0EBD312921D8E4FE1C1D0DEFEFFAFC08E90CF90CCA07D2D30DDB22DAE5F61AF40907FAF30912EDF900F1EAEFE8E925EB072AF90717F222F8E3EEDAE70E0BE4D918FDF6BFF3EA04FD1BFCFC14E11E022228FBE4E6F3FED5E51026F01E11EDE4E902E6ECD9FD0D0F25');
CREATE TABLE collection (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	uuid VARCHAR NOT NULL, 
	last_seq INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	created_at VARCHAR NOT NULL, purged_seq INTEGER DEFAULT '0' NOT NULL, live_serving INTEGER, trial_serving INTEGER, denial_key BLOB, 
	CONSTRAINT pk_collection PRIMARY KEY (id), 
	CONSTRAINT uq_collection_name UNIQUE (name)
);
INSERT INTO "collection" VALUES(1,'c','3545bf0051334e518e3dd1d1edf9356c',6,0,'2026-11-30T17:48:03+00:00',0,1,NULL,NULL);
CREATE TABLE counter (
	kind VARCHAR NOT NULL, 
	last INTEGER NOT NULL, 
	CONSTRAINT pk_counter PRIMARY KEY (kind)
);
INSERT INTO "counter" VALUES('document',4);
INSERT INTO "counter" VALUES('chunk',4);
INSERT INTO "counter" VALUES('generation',1);
INSERT INTO "counter" VALUES('serving',1);
CREATE TABLE denial (
	collection_id INTEGER NOT NULL, 
	"of" BLOB NOT NULL, 
	kind VARCHAR NOT NULL, 
	digest BLOB NOT NULL, 
	erasure_id INTEGER NOT NULL, 
	CONSTRAINT pk_denial PRIMARY KEY (collection_id, "of", kind), 
	CONSTRAINT fk_denial_collection_id FOREIGN KEY(collection_id) REFERENCES collection (id), 
	CONSTRAINT fk_denial_erasure_id FOREIGN KEY(erasure_id) REFERENCES erasure (id)
);
CREATE TABLE document (
	"key" INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	hash BLOB NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	title VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	metadata VARCHAR NOT NULL, origin VARCHAR, metadata_hash BLOB DEFAULT '' NOT NULL, file_id INTEGER, marks VARCHAR, 
	CONSTRAINT pk_document PRIMARY KEY ("key"), 
	CONSTRAINT uq_document_collection_id_id UNIQUE (collection_id, id), 
	CONSTRAINT fk_document_collection_id FOREIGN KEY(collection_id) REFERENCES collection (id)
);
INSERT INTO "document" VALUES(1,1,'whales.txt',1,X'F869C76ED8637928DB79705FE8CA65C1',0,'Whales','Whales breathe air through a blowhole.','{"legs":0}','/docs/whales.txt',X'DB66E6E8EA4E461219EC1AA479ADB049',NULL,NULL);
INSERT INTO "document" VALUES(2,1,'bees.txt',6,X'48E862D3EDB329EB497783B9B27A6685',0,'','Bees make honey, and dance to show where flowers are.','{"legs":6,"tags":["air"]}','/docs/bees.txt',X'69E91A780A91A93D7DF3FEB3D6B34EBE',NULL,NULL);
INSERT INTO "document" VALUES(3,1,'iron.txt',5,X'',1,'','','{}',NULL,X'',NULL,NULL);
INSERT INTO "document" VALUES(4,1,'bread.txt',4,X'F1805A24CFB970FCCDA649FAC07C3032',0,'Bread','Dough rises because yeast makes gas.','{"topic":"kitchen"}','/docs/bread.txt',X'684B7F8CBE4CF9EBA2E59D3B9D5FF950',NULL,NULL);
CREATE TABLE erasure (
	id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	documents INTEGER NOT NULL, 
	who VARCHAR NOT NULL, 
	begun_at VARCHAR NOT NULL, 
	ended_at VARCHAR, 
	state VARCHAR NOT NULL, 
	wanted JSON, 
	receipt JSON, 
	CONSTRAINT pk_erasure PRIMARY KEY (id), 
	CONSTRAINT fk_erasure_collection_id FOREIGN KEY(collection_id) REFERENCES collection (id)
);
CREATE TABLE file (
	id INTEGER NOT NULL, 
	source_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	size BIGINT NOT NULL, 
	modified BIGINT NOT NULL, 
	changed BIGINT NOT NULL, 
	inode BIGINT NOT NULL, 
	digest BLOB NOT NULL, 
	read_at BIGINT NOT NULL, 
	reader VARCHAR NOT NULL, 
	problem VARCHAR, 
	stale INTEGER NOT NULL, 
	CONSTRAINT pk_file PRIMARY KEY (id), 
	CONSTRAINT fk_file_source_id FOREIGN KEY(source_id) REFERENCES source (id), 
	CONSTRAINT uq_file_source_id_name UNIQUE (source_id, name)
);
CREATE TABLE generation (
	id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	dimension INTEGER NOT NULL, 
	precision VARCHAR NOT NULL, 
	chunking JSON NOT NULL, 
	codec VARCHAR, 
	clipped INTEGER NOT NULL, 
	created_at VARCHAR NOT NULL, state VARCHAR DEFAULT 'following' NOT NULL, followed_seq INTEGER DEFAULT '0' NOT NULL, last_change INTEGER DEFAULT '0' NOT NULL, purged_change INTEGER DEFAULT '0' NOT NULL, beside JSON, 
	CONSTRAINT pk_generation PRIMARY KEY (id), 
	CONSTRAINT fk_generation_collection_id FOREIGN KEY(collection_id) REFERENCES collection (id)
);
INSERT INTO "generation" VALUES(1,1,'stlib-static-en','ff50ee3647195dceb3eb68590c50819d72eb7b21b2dfdd2b43c513363d3eb1ec',256,'int8','{"max_tokens": 256, "overlap": 32, "opening": true}','{"precision": "int8", "dimension": 256, "ranges": "ew2rvsak37582q2+ZyjUvt/4wb6Qx9W+2szpvpqhzr5Ik5u+/O+yvjEZwr44xoy+8L3RvrKIrb7OOLe+Q4O6vvblxr7beqG+/sPWvt8cub5/5pu+KPCJvg5rwL75EL++gqjUvlBCxL4UV6y+2uGavuxeq746x7++VOGnvjtZur4s7cu+ewekvujf1L6JQNG+Hq3Cvsi6hL7cPKC+EvXUvsFyor74ycG+8Hunvt7Elr4AbZi+ykG1vje4sr4w7qO+dl+SvvpOtb7sb+++v1W2vqRmzL7gnam+Ai+7vpbWmL6EcKm+qj+8vsmBn74Xr+2+OY+vvqlunL7qu7O+vGGqvkU0tr6MEKq+0N2Xvpo2sb6K97m+8kyyvjIuir4p98C+v4CwvsoMnL7ueYq+z9ipvkLxqr5EUZq+dKe5vjnjjr4kf6O+vEWevgnpkL7zOau+LxCYvrRBor5g7YO+yk+8vrrUob4nCLO+tWClvh6Qk746jrK+kDKfvh8pnL4svIu+cAefvlD9ir4eKKG+BAGgvhg4nb6+l4m+dOqJvgNLlr5KIKK+qNCkvs4lhr7jqpG+lNh7vvWunL4dXq++qXWxvgxAeL6re5G+csyDvtJOjL7IGqS+mvGEvjTgjr5WdKS+oIOKvlQ1ob46VZG+kiqXvuyQkL7tAbu+EBaIvk+Dkb7MY6K+tKmavquMqL7oFpe+jWCdvqyEir5uG6G+4NiCvuRDs77GfX++CkeVvlIdf768X42+8tWbvg5lib5H8ZO+/IOHvgBdlb54yIy+Kz2MvoJjd752I4y+CtajvlzajL5WS4O+MG+CvvZzZr6Q73W+/typvmkziL7egrG+NPuevv5Pib7Z8J2+YFuqvgrzib7T5G2+NHGXvqp6ib7pT4q+jNqKvg4ldr6mOKS+v+uDvuC+mL4S6lS+UFOKvmQjgb4ONmW+xmyFvuRNmr4u0Yq+mb9/vofdjr6bSYW+LhVpvvQ2ZL42JpK+oN2Bvhh1kr4gFpu+Tu+ZvsbTdL66xZS+sCSJvqh/hr4cUqW+lCadvjQpqb6aRYG+yC+Nvm4MkL7taYy+oCh1vt1wd75OmoW+tJKIvi1pg76MXJC++oSFvs3BkL46ZGy+5GV+vkglgL5/YGa+aBqBvq4mfL7fK4G+TSyFvhGhbL4qpHa+nUuNvntrhr4qMoS+8JFpvqUVnr7WFoq+cflsvvI8gL4sbWW+hXZpvkiKiL6keoS+rtyHvmdFdb6keU2+KKpYvowrWL48T2C+nOljvlC+iL5SoHa+kASAvg0YgL74vk2+X2SVvnhGer5EPHi++Lh0vqQcZb59Kki+xHZ9voJEkr5gQWq+dL2GvlTqSr5cVH2+/DCGvunSlD5QYMM+/C2+PnQ/0j70FdM+WgXTPo77uz6kn7E+xjPHPjjAqj64Tcc+NLvKPkxttD7FA8w+IS3FPpQHvT7CsOc+EWyUPj7czT6R4ts+csutPmwKuz4E4L4+VgniPh4epT4+7b4+VLfTPpoxvD5JFJE+kG6yPocrtz4cpMY+3fDDPnA97z7EH+Y+XlfLPgYF2j5Bz54+WgCPPn2/1T5fqpE+lJe5PgRKwD66pZk+BhyzPq8Ivz7Xe8k+TkWjPppw1T6M2ZE+xnu2PhGKnz4/6cY++0mXPtit5z7kc9s+byyjPjAAyT7uo9E+Lti2Prd3qj6s67Y+thyhPtt+wj6ENck+gpSSPp6cjT4MXrw+vKu1Ptwp0z5u3pU+5vCsPodtoz7eT5U+ZMSgPoy5rT6wPqc+H7J2PsaZoj4VdoU+1ZmhPtWBmD7ovJ4+fVvQPqYXgD5Grpg+5lGcPto1uz7BAao+WFahPlTwnT5UmYk+YN/GPn52kz6Zypk+U71+Pqoelj7u3qQ+noiBPjhEpj5oeKI+/RzAPm/suD5IG5E+wuqiPviFij7OqaA+HXWEPjxFkj4S5KE+2N+iPjg3pT5SmYo+cuOjPiShgT6wcIg+qP2VPh4tiD54DLQ+3DaZPs8rjD6NqLs+tBKlPjJfnj5IQpU+0laiPiFxkT5O338+8IapPujxsj7+7ZU+KOqVPqfAqT765JE+hsyBPr9JmT4oCaQ+kvKXPr3mgD7cy38+lNWePnvQjz5Om5I+st5rPgD+pD4Tdok+hC+NPsR/ij4fU4s+c1KePmF+oj5/vZw+nqx7PnqzkT66xXQ+QoB/PqlXmj5Y2ZM+frarPiyQpT4kapw+pryIPg4Poz5yUYA+pPShPtV4gj4xJIY+dpmUPoXQjT7Mc2E+HWahPlosrj7wso4+rv49Pjt4lT5VPHs+Pft2PiHcgz5QY4Y+bIejPhjkiT6zNJs+zIhsPgjXhj6IoIU+LJKtPhirjD5a/50+pZCVPk0okD5iIWo+BriSPnczhD741Yk+MMSxPrnljj5prI8+JMNYPuKpcz6DnG8+bWuTPk7dgz5egHQ+LpeRPkIbjj5VmpU+eAd4PnibaT6Q55I+Cmx/Pghlez7qSpE+sF+BPsw3fj4aEXE+50mGPkDfgT5BHGs+nhloPm+ugT68oH0+bGKkPp5jcD4Y33o+0EhtPtjSUj4L9IU+rMJcPoDpVz7ebn0+kIJlPoRZXj6aGUw+K5uePvI1ez5Qeoc+hJ+CPliOgj6I7KE+lU+QPj/Lcz7KEF0+eg5aPotTgj5osm4+3yyFPkyGaz7kAow+boVUPttnjz5WIG0+0IFhPo6ciz4uu4A+DxRwPrUYhz4="}',0,'2026-11-30T17:48:03+00:00','following',6,3,0,NULL);
CREATE TABLE promotion (
	id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	serving_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	who VARCHAR NOT NULL, 
	override VARCHAR, 
	at VARCHAR NOT NULL, 
	CONSTRAINT pk_promotion PRIMARY KEY (id), 
	CONSTRAINT fk_promotion_collection_id FOREIGN KEY(collection_id) REFERENCES collection (id)
);
INSERT INTO "promotion" VALUES(1,1,1,'create','',NULL,'2026-11-30T17:48:04+00:00');
CREATE TABLE removal (
	"key" INTEGER NOT NULL, 
	generation_id INTEGER NOT NULL, 
	change INTEGER NOT NULL, 
	CONSTRAINT pk_removal PRIMARY KEY ("key"), 
	CONSTRAINT fk_removal_generation_id FOREIGN KEY(generation_id) REFERENCES generation (id)
);
INSERT INTO "removal" VALUES(3,1,3);
CREATE TABLE renamed (
	id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	batch INTEGER NOT NULL, 
	old_id VARCHAR NOT NULL, 
	new_id VARCHAR NOT NULL, 
	at VARCHAR NOT NULL, 
	CONSTRAINT pk_renamed PRIMARY KEY (id), 
	CONSTRAINT fk_renamed_collection_id FOREIGN KEY(collection_id) REFERENCES collection (id)
);
CREATE TABLE serving (
	id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	generation_id INTEGER NOT NULL, 
	engine VARCHAR NOT NULL, 
	analysis INTEGER NOT NULL, 
	query_model JSON, 
	memory JSON, 
	ranking JSON NOT NULL, 
	reranker JSON, 
	made_from INTEGER, 
	note VARCHAR NOT NULL, 
	created_at VARCHAR NOT NULL, gate JSON, 
	CONSTRAINT pk_serving PRIMARY KEY (id), 
	CONSTRAINT fk_serving_collection_id FOREIGN KEY(collection_id) REFERENCES collection (id), 
	CONSTRAINT fk_serving_generation_id FOREIGN KEY(generation_id) REFERENCES generation (id)
);
INSERT INTO "serving" VALUES(1,1,1,'faiss',2,NULL,NULL,'{}',NULL,NULL,'created','2026-11-30T17:48:04+00:00',NULL);
CREATE TABLE source (
	id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	root VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	options JSON NOT NULL, 
	created_at VARCHAR NOT NULL, 
	synced_at VARCHAR, 
	CONSTRAINT pk_source PRIMARY KEY (id), 
	CONSTRAINT fk_source_collection_id FOREIGN KEY(collection_id) REFERENCES collection (id), 
	CONSTRAINT uq_source_collection_id_root_kind UNIQUE (collection_id, root, kind)
);
CREATE TABLE sparse_code (
	"key" INTEGER NOT NULL, 
	code BLOB NOT NULL, 
	CONSTRAINT pk_sparse_code PRIMARY KEY ("key")
);
CREATE TABLE token_code (
	"key" INTEGER NOT NULL, 
	code BLOB NOT NULL, 
	CONSTRAINT pk_token_code PRIMARY KEY ("key")
);
CREATE INDEX ix_generation_collection_id ON generation (collection_id);
CREATE INDEX ix_document_collection_id_seq ON document (collection_id, seq);
CREATE INDEX ix_chunk_document_key ON chunk (document_key);
CREATE INDEX ix_document_collection_id_origin ON document (collection_id, origin) WHERE origin IS NOT NULL;
CREATE INDEX ix_serving_collection_id ON serving (collection_id);
CREATE INDEX ix_promotion_collection_id ON promotion (collection_id);
CREATE INDEX ix_chunk_generation_id_change ON chunk (generation_id, change);
CREATE INDEX ix_removal_generation_id_change ON removal (generation_id, change);
CREATE INDEX ix_renamed_collection_id_old_id ON renamed (collection_id, old_id);
CREATE INDEX ix_document_file_id ON document (file_id) WHERE file_id IS NOT NULL;
CREATE INDEX ix_erasure_collection_id ON erasure (collection_id);
CREATE INDEX ix_denial_collection_id_digest ON denial (collection_id, digest);
COMMIT;

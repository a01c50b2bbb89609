/** Goal: three members over etcd keep E1 to E12; real etcd is skipped by name (ETCD_MISSING). */
import { after } from "node:test";
import { etcdInMemory, realEtcd } from "./harness/engines.ts";
import { stopEtcd } from "./harness/etcd-server.ts";
import { runSuite } from "./harness/suite.ts";

after(stopEtcd);
runSuite(etcdInMemory);
runSuite(realEtcd);

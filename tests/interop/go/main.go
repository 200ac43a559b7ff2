// Checks that the Go SDK works on one server, beside Everloop's worker.
//
//	go-checks ADDRESS RUST_TASK_QUEUE
//
// It runs a Go worker and every check, and ends with `N passed, M failed`.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	taskqueue "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
)

// Timeout of every wait, longer than any successful one.
const patience = 60 * time.Second

// Tasks per second of the slow queue: those of the first second are dispatched at once.
const slowRate = 4

// peers are both workers, by their task queues.
type peers struct {
	client client.Client
	rust   string
	golang string
	// A queue of the Go worker with a rate limit.
	slow string
}

type check struct {
	name string
	run  func(context.Context, peers) error
}

var checks = []check{
	{"go runs activities signals queries and updates", goRunsActivitiesSignalsQueriesAndUpdates},
	{"go describes and lists", goDescribesAndLists},
	{"go describes task queues", goDescribesTaskQueues},
	{"go calls rust", goCallsRust},
	{"go starts rust", goStartsRust},
	{"go terminates", goTerminates},
	{"go limits the rate of a queue", goLimitsTheRateOfAQueue},
}

func (p peers) start(ctx context.Context, queue string, workflow any, args ...any) (client.WorkflowRun, error) {
	options := client.StartWorkflowOptions{ID: "go-" + uuid.NewString(), TaskQueue: queue}
	return p.client.ExecuteWorkflow(ctx, options, workflow, args...)
}

func equal(got, wanted any) error {
	if !reflect.DeepEqual(got, wanted) {
		return fmt.Errorf("got %v, wanted %v", got, wanted)
	}
	return nil
}

func goRunsActivitiesSignalsQueriesAndUpdates(ctx context.Context, p peers) error {
	run, err := p.start(ctx, p.golang, Orders, "lamp")
	if err != nil {
		return err
	}
	update := func(item string) (count int, err error) {
		handle, err := p.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
			WorkflowID:   run.GetID(),
			UpdateName:   "pack",
			Args:         []any{item},
			WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err == nil {
			err = handle.Get(ctx, &count)
		}
		return count, err
	}
	if _, err := update("chair"); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if _, err := update(""); err == nil {
		return errors.New("the update was not rejected")
	}
	for _, signal := range []string{"more", "close"} {
		if err := p.client.SignalWorkflow(ctx, run.GetID(), "", signal, "table"); err != nil {
			return fmt.Errorf("signal: %w", err)
		}
	}
	var packed, seen []string
	if err := run.Get(ctx, &packed); err != nil {
		return err
	}
	if err := equal(len(packed), 3); err != nil {
		return err
	}
	answer, err := p.client.QueryWorkflow(ctx, run.GetID(), run.GetRunID(), "packed")
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	if err := answer.Get(&seen); err != nil {
		return err
	}
	return equal(seen, packed)
}

func goDescribesAndLists(ctx context.Context, p peers) error {
	run, err := p.start(ctx, p.golang, Orders, "lamp")
	if err != nil {
		return err
	}
	described, err := p.client.DescribeWorkflow(ctx, run.GetID(), "")
	if err != nil {
		return err
	}
	if err := equal(described.Status, enums.WORKFLOW_EXECUTION_STATUS_RUNNING); err != nil {
		return err
	}
	query := fmt.Sprintf("WorkflowId = '%s' AND ExecutionStatus = 'Running'", run.GetID())
	// Some servers update their lists with a delay.
	for {
		listed, err := p.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query})
		if err != nil {
			return err
		}
		if len(listed.Executions) == 1 {
			if listed.Executions[0].SearchAttributes == nil {
				return errors.New("a listed run has no search attributes")
			}
			break
		}
		if err := again(ctx); err != nil {
			return err
		}
	}
	if err := p.client.SignalWorkflow(ctx, run.GetID(), "", "close", nil); err != nil {
		return err
	}
	if err := run.Get(ctx, nil); err != nil {
		return err
	}
	described, err = p.client.DescribeWorkflow(ctx, run.GetID(), run.GetRunID())
	if err != nil {
		return err
	}
	return equal(described.Status, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED)
}

func goDescribesTaskQueues(ctx context.Context, p peers) error {
	run, err := p.start(ctx, p.golang, BuyInRust, Purchase{"lamp", "ann"}, p.rust)
	if err != nil {
		return err
	}
	if err := run.Get(ctx, nil); err != nil {
		return err
	}
	for _, kind := range []enums.TaskQueueType{
		enums.TASK_QUEUE_TYPE_WORKFLOW, enums.TASK_QUEUE_TYPE_ACTIVITY, enums.TASK_QUEUE_TYPE_NEXUS,
	} {
		// As `temporal task-queue describe --legacy-mode` asks.
		described, err := p.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace:              client.DefaultNamespace,
			TaskQueue:              &taskqueue.TaskQueue{Name: p.golang, Kind: enums.TASK_QUEUE_KIND_NORMAL},
			TaskQueueType:          kind,
			IncludeTaskQueueStatus: true,
		})
		if err != nil {
			return fmt.Errorf("%v: %w", kind, err)
		}
		if described.TaskQueueStatus == nil {
			return fmt.Errorf("%v: no status", kind)
		}
		if kind != enums.TASK_QUEUE_TYPE_NEXUS && len(described.Pollers) == 0 {
			return fmt.Errorf("%v: no pollers", kind)
		}
	}
	described, err := p.client.DescribeTaskQueueEnhanced(ctx, client.DescribeTaskQueueEnhancedOptions{
		TaskQueue:              p.golang,
		TaskQueueTypes:         []client.TaskQueueType{client.TaskQueueTypeWorkflow, client.TaskQueueTypeActivity},
		ReportPollers:          true,
		ReportTaskReachability: true,
		ReportStats:            true,
	})
	if err != nil {
		return err
	}
	version, ok := described.VersionsInfo[client.UnversionedBuildID]
	if !ok {
		return errors.New("the workers without a version are not described")
	}
	if err := equal(version.TaskReachability, client.BuildIDTaskReachability(client.BuildIDTaskReachabilityReachable)); err != nil {
		return err
	}
	for kind, info := range version.TypesInfo {
		if len(info.Pollers) == 0 || info.Stats == nil {
			return fmt.Errorf("%v: %d pollers, stats %v", kind, len(info.Pollers), info.Stats)
		}
	}
	return equal(len(version.TypesInfo), 2)
}

func goCallsRust(ctx context.Context, p peers) error {
	for item, wanted := range map[string]string{
		"lamp": "lamp for ann, attempt 2", "moon": "Refused: not for sale",
	} {
		run, err := p.start(ctx, p.golang, BuyInRust, Purchase{item, "ann"}, p.rust)
		if err != nil {
			return err
		}
		var receipt string
		if err := run.Get(ctx, &receipt); err != nil {
			return err
		}
		if err := equal(receipt, wanted); err != nil {
			return err
		}
	}
	return nil
}

func goStartsRust(ctx context.Context, p peers) error {
	run, err := p.start(ctx, p.rust, "OneClickBuy", Purchase{"lamp", "ann"}, 60_000)
	if err != nil {
		return err
	}
	if err := p.client.SignalWorkflow(ctx, run.GetID(), "", "update_purchase", Purchase{"chair", "bob"}); err != nil {
		return err
	}
	answer, err := p.client.QueryWorkflow(ctx, run.GetID(), "", "current_status")
	if err != nil {
		return err
	}
	var status, result string
	if err := answer.Get(&status); err != nil {
		return err
	}
	if err := equal(status, "Pending"); err != nil {
		return err
	}
	if err := p.client.CancelWorkflow(ctx, run.GetID(), ""); err != nil {
		return err
	}
	if err := run.Get(ctx, &result); err != nil {
		return err
	}
	return equal(result, "cancelled in time")
}

func goTerminates(ctx context.Context, p peers) error {
	run, err := p.start(ctx, p.golang, Orders, "lamp")
	if err != nil {
		return err
	}
	if err := p.client.TerminateWorkflow(ctx, run.GetID(), "", "not needed"); err != nil {
		return err
	}
	var terminated *temporal.TerminatedError
	if err := run.Get(ctx, nil); !errors.As(err, &terminated) {
		return fmt.Errorf("got %v, wanted a termination", err)
	}
	return nil
}

func goLimitsTheRateOfAQueue(ctx context.Context, p peers) error {
	// A queue with partitions dispatches twice as many at once, and the others a second later at the earliest.
	const steps = 3 * slowRate
	run, err := p.start(ctx, p.slow, ManySteps, steps)
	if err != nil {
		return err
	}
	var took time.Duration
	if err := run.Get(ctx, &took); err != nil {
		return err
	}
	// Never sooner; later on a busy machine.
	if least := 900 * time.Millisecond; took < least {
		return fmt.Errorf("%d activities took %v, wanted %v at least", steps, took, least)
	}
	return nil
}

// again waits before the same is asked once more.
func again(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go-checks ADDRESS RUST_TASK_QUEUE")
		os.Exit(2)
	}
	failed, err := runAll(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d passed, %d failed\n", len(checks)-failed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func runAll(address, rust string) (failed int, err error) {
	// Activities fail here on purpose.
	quiet := log.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1})))
	connection, err := client.Dial(client.Options{HostPort: address, Logger: quiet})
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	p := peers{client: connection, rust: rust, golang: "go-" + uuid.NewString(), slow: "slow-" + uuid.NewString()}
	for queue, options := range map[string]worker.Options{
		p.golang: {},
		p.slow:   {TaskQueueActivitiesPerSecond: slowRate},
	} {
		worker := worker.New(connection, queue, options)
		worker.RegisterWorkflow(Orders)
		worker.RegisterWorkflow(BuyInRust)
		worker.RegisterWorkflow(ManySteps)
		worker.RegisterActivity(Pack)
		worker.RegisterActivity(Step)
		if err := worker.Start(); err != nil {
			return 0, err
		}
		defer worker.Stop()
	}

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// All checks run concurrently: each has its own ids.
	outcomes := make([]error, len(checks))
	var running sync.WaitGroup
	for i, one := range checks {
		running.Go(func() { outcomes[i] = one.run(ctx, p) })
	}
	running.Wait()
	for i, one := range checks {
		if outcomes[i] == nil {
			fmt.Printf("  %s: ok\n", one.name)
			continue
		}
		failed++
		fmt.Printf("  %s: FAILED\n    %v\n", one.name, outcomes[i])
	}
	return failed, nil
}

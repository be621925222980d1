// SPDX-License-Identifier: GPL-2.0-only
/* The module: one chip, because mlxsw_spectrum registers one static switchdev notifier per kernel. */
#include <linux/module.h>
#include <linux/vmalloc.h>

#include "mlxfake.h"

int mlxfake_ports = 8;
module_param_named(ports, mlxfake_ports, int, 0444);
MODULE_PARM_DESC(ports, "front panel ports");

int mlxfake_width = 4;
module_param_named(width, mlxfake_width, int, 0444);
MODULE_PARM_DESC(width, "lanes of a port, into as many of which it can be split");

bool mlxfake_learn = true;
module_param_named(learn, mlxfake_learn, bool, 0644);
MODULE_PARM_DESC(learn, "learn MACs from frames that arrive at wires");

int mlxfake_number;
module_param_named(number, mlxfake_number, int, 0444);
MODULE_PARM_DESC(number, "which of several machines this is: makes its MAC addresses unique");

static char *kind = "mlxsw_spectrum2";
module_param(kind, charp, 0444);
MODULE_PARM_DESC(kind, "mlxsw_spectrum, mlxsw_spectrum2 or mlxsw_spectrum3");

static struct mlxfake *the_fake;

/* What the driver asks of the bus at probe: a firmware that is new enough for each generation. */
static void fill_info(struct mlxfake *fake)
{
	struct mlxsw_bus_info *info = &fake->info;

	info->device_kind = kind;
	info->device_name = dev_name(&fake->pdev->dev);
	info->dev = &fake->pdev->dev;
	info->read_clock_capable = 1;
	if (!strcmp(kind, "mlxsw_spectrum"))
		info->fw_rev.major = 13;
	else
		info->fw_rev.major = !strcmp(kind, "mlxsw_spectrum2") ? 29 : 30;
	info->fw_rev.minor = 2010;
	info->fw_rev.subminor = 1006;
	info->fw_rev.can_reset_minor = 1702;
}

static void destroy(struct mlxfake *fake)
{
	debugfs_remove_recursive(fake->debugfs);
	mlxfake_remove_wires(fake);
	cancel_delayed_work_sync(&fake->ageing_work);
	cancel_work_sync(&fake->receive_work);
	skb_queue_purge(&fake->received);
	if (fake->core)
		mlxsw_core_bus_device_unregister(fake->core, false);
	/* Last, as unregistering writes registers, which are answered by work. */
	destroy_workqueue(fake->queue);
	skb_queue_purge(&fake->answers);
	mlxfake_forget_everything(fake);
	if (!IS_ERR_OR_NULL(fake->pdev))
		platform_device_unregister(fake->pdev);
	vfree(fake->fids);
	vfree(fake->ports);
	kfree(fake);
}

static struct mlxfake *allocate(void)
{
	struct mlxfake *fake = kzalloc(sizeof(*fake), GFP_KERNEL);
	int i;

	if (!fake)
		return NULL;
	spin_lock_init(&fake->lock);
	hash_init(fake->entries);
	hash_init(fake->floods);
	skb_queue_head_init(&fake->received);
	skb_queue_head_init(&fake->answers);
	INIT_WORK(&fake->answer_work, mlxfake_answer_work);
	INIT_WORK(&fake->receive_work, mlxfake_receive_work);
	INIT_WORK(&fake->link_work, mlxfake_link_work);
	INIT_DELAYED_WORK(&fake->ageing_work, mlxfake_ageing_work);
	for (i = 0; i < MLXFAKE_TABLES; i++)
		fake->limit[i] = ~0;
	fake->temperature = 42000;
	fake->module_temperature = 35000;
	fake->fan_rpm = 7200;
	fake->fan_pwm = 128;
	fake->fids = vzalloc(MLXFAKE_FIDS * sizeof(*fake->fids));
	fake->ports = vzalloc((MLXFAKE_PORTS + 1) * sizeof(*fake->ports));
	fake->queue = alloc_workqueue("mlxfake", WQ_HIGHPRI | WQ_MEM_RECLAIM, 1);
	if (!fake->fids || !fake->ports || !fake->queue) {
		if (fake->queue)
			destroy_workqueue(fake->queue);
		vfree(fake->fids);
		vfree(fake->ports);
		kfree(fake);
		return NULL;
	}
	return fake;
}

static int __init mlxfake_init(void)
{
	struct mlxfake *fake;
	int err;

	if (mlxfake_ports < 1 || mlxfake_width < 1 || mlxfake_width > 8 ||
	    mlxfake_ports * mlxfake_width > MLXFAKE_PORTS)
		return -EINVAL;
	fake = allocate();
	if (!fake)
		return -ENOMEM;
	fake->pdev = platform_device_register_simple("mlxfake", 0, NULL, 0);
	if (IS_ERR(fake->pdev)) {
		err = PTR_ERR(fake->pdev);
		goto fail;
	}
	fill_info(fake);
	err = mlxsw_core_bus_device_register(&fake->info, &mlxfake_bus, fake, false, NULL, NULL);
	if (err) {
		fake->core = NULL;
		goto fail;
	}
	err = mlxfake_add_wires(fake);
	if (err)
		goto fail;
	mlxfake_add_debugfs(fake);
	queue_delayed_work(fake->queue, &fake->ageing_work, HZ);
	the_fake = fake;
	return 0;
fail:
	destroy(fake);
	return err;
}

static void __exit mlxfake_exit(void)
{
	destroy(the_fake);
}

module_init(mlxfake_init);
module_exit(mlxfake_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Fake register bus for mlxsw_spectrum (lab)");
